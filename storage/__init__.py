"""The SQL store: tables, repository and migrations; the only folder that imports SQLAlchemy."""
