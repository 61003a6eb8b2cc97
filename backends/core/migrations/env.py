"""Alembic's entry: runs the migrations on the engine that `backends.core.schema` hands over, all in one transaction.

SQLite can roll its DDL back, but Alembic takes it for a database that cannot and SQLAlchemy commits each statement there:
the transaction is begun by hand, and before `configure`, which leaves one that it finds alone. A server killed in the
middle leaves the schema that was there before.
"""

from alembic import context
from sqlalchemy import Connection

from backends.core.dialects import insert_or_update
from backends.core.schema import MARK
from backends.core.tables import METADATA, installation


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
        known = context.config.attributes.get("known", "")
        if known:  # `schema.known`: so that the next start need not ask alembic
            insert_or_update(connection, installation, {"name": MARK}, {"value": known})


with context.config.attributes["engine"].connect() as opened:
    if opened.dialect.name == "sqlite":
        opened.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            _run(opened)
        except BaseException:
            opened.exec_driver_sql("ROLLBACK")
            raise
        opened.exec_driver_sql("COMMIT")
    else:
        _run(opened)
        opened.commit()
