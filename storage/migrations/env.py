"""Alembic runs this file to migrate: always over the connection, and in the transaction, of ``storage.schema``."""

from alembic import context

from storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
