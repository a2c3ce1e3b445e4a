"""The SQL store and what feeds it, without a database."""
