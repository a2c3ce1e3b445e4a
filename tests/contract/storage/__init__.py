"""The SQL store: one suite on SQLite and PostgreSQL."""
