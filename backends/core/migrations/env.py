"""Alembic's entry: runs the migrations on the engine that `backends.core.schema` hands over."""

from alembic import context

from backends.core.tables import METADATA

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
