"""The migrations make exactly what the tables say: the same statements on SQLite, the same catalogue on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from backends import load_components
from backends.core import schema
from backends.core.db import engine_for
from backends.core.tables import METADATA
from tests import postgresql

if TYPE_CHECKING:
    from pathlib import Path

# The points to start from: the one line of old, and every line of a component behind it.
VERSIONS = sorted(
    "_".join(path.stem.split("_")[: 1 if path.stem[0].isdigit() else 2])
    for path in (schema.MIGRATIONS / "versions").glob("*_*.py")
    if path.stem != "__init__"
)
CATALOGUE = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', ordinal_position, data_type, is_nullable, column_default, collation_name, is_identity)
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""


@pytest.fixture(autouse=True)
def every_table() -> None:
    load_components()


def on_sqlite(engine: Engine) -> dict[Any, str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    return {(kind, name): re.sub(r"\s+", " ", sql) for kind, name, sql in rows if "alembic" not in name}


def on_postgresql(engine: Engine) -> dict[Any, str]:
    with engine.connect() as connection:
        return {(kind, name): what for kind, name, what in connection.execute(text(CATALOGUE))}


def test_migrated_is_declared_on_sqlite(tmp_path: Path) -> None:
    migrated = engine_for(f"sqlite:///{tmp_path / 'migrated.db'}", "process")
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    schema.upgrade(migrated)
    METADATA.create_all(declared)
    assert on_sqlite(migrated) == on_sqlite(declared)
    assert {name for kind, name in on_sqlite(migrated) if kind == "table"} == set(METADATA.tables)
    schema.upgrade(migrated)  # a second start changes nothing
    for engine in (migrated, declared):
        engine.dispose()


def test_migrated_is_declared_on_postgresql(tmp_path: Path) -> None:
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    migrated = create_engine(postgresql.database_for(tmp_path / "migrated"))
    declared = create_engine(postgresql.database_for(tmp_path / "declared"))
    schema.upgrade(migrated)
    METADATA.create_all(declared)
    made = on_postgresql(migrated)
    assert made.pop(("index", "ix_resources_name_trigrams"))  # where its extension can be made: nothing declares it
    assert made == on_postgresql(declared)
    assert ("column", "s3_objects.key") in on_postgresql(migrated)
    for engine in (migrated, declared):
        engine.dispose()


def test_the_way_back_leaves_nothing(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    engine = engine_for(f"sqlite:///{tmp_path / 'state.db'}", "process")
    schema.upgrade(engine)
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["engine"] = engine
    command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_roles_and_keys_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    engine = engine_for(f"sqlite:///{tmp_path / 'state.db'}", "process")
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, "0001")
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO iam_roles VALUES ('1', 'r', 2.0, X'7b7d')"))
        connection.execute(text("INSERT INTO access_keys VALUES ('ASIA', 'secret', 'token', '1', 'arn', 3.0)"))
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM iam_entities")).all() == [("1", "role", "r", 2.0, b"{}")]
        query = "SELECT access_key, secret_key, session_token, account, arn, expires, active FROM issued_keys"
        assert connection.execute(text(query)).all() == [("ASIA", "secret", "token", "1", "arn", 3.0, 1)]
    command.downgrade(config, "0001")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM iam_roles")).scalar() == "r"
        assert connection.execute(text("SELECT session_token FROM access_keys")).scalar() == "token"
    engine.dispose()


def test_points_of_before_are_still_there(tmp_path: Path) -> None:
    """Migration 0003 makes `metric_points` anew and copies what was in it."""
    from alembic import command
    from alembic.config import Config

    engine = engine_for(f"sqlite:///{tmp_path / 'state.db'}", "process")
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, "0001")
    row = "INSERT INTO metric_points (account, region, namespace, name, dimensions, time, value) VALUES"
    with engine.begin() as connection:
        connection.execute(text(f"{row} ('1', 'r', 'n', 'loss', '{{}}', 5.0, 0.5)"))
    schema.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, time, value, unit, samples, total FROM metric_points")).all()
    assert [tuple(point) for point in rows] == [("loss", 5.0, 0.5, "None", 1.0, None)]
    engine.dispose()


def test_tags_of_before_are_folded(tmp_path: Path) -> None:
    """Migration core_0004 writes the tags' texts without their case where they are not ASCII."""
    engine = engine_for(f"sqlite:///{tmp_path / 'state.db'}", "process")
    schema.upgrade(engine, "core_0003")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tags (arn, key, value) VALUES ('a', 'k', 'Straße'), ('a', 'l', 'Red')"))
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT folded FROM tags ORDER BY key")).scalars().all() == ["strasse", None]
    engine.dispose()


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_accepted_invocations_are_promised_work_and_come_back(tmp_path: Path, where: str) -> None:
    """Migration endpoints_0001 carries the rows over, in their order."""
    from alembic import command
    from alembic.config import Config

    if where == "postgresql" and postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    url = postgresql.database_for(tmp_path / "state") if where == "postgresql" else f"sqlite:///{tmp_path / 'state.db'}"
    engine = engine_for(url, "process")
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, "core_0003")
    columns = "account, region, endpoint, arn, received, expires, request"
    row = f"INSERT INTO async_invocations ({columns}) VALUES ('1', 'r', 'One', 'arn:one', :received, 9.0, :request)"
    with engine.begin() as connection:
        for received in (5.0, 3.0):
            connection.execute(text(row), {"received": received, "request": b'{"id": "i"}'})
    schema.upgrade(engine)
    query = "SELECT queue, key, account, region, created, expires, attempts, body FROM work_items ORDER BY id"
    with engine.connect() as connection:
        items = [tuple(item) for item in connection.execute(text(query))]
    kept = b'{"endpoint": "One", "id": "i"}'
    assert [(*item[:-1], bytes(item[-1])) for item in items] == [
        ("endpoints.invocations", "arn:one", "1", "r", created, 9.0, 0, kept) for created in (5.0, 3.0)
    ]
    command.downgrade(config, "endpoints@base")
    with engine.connect() as connection:
        rows = [
            tuple(item) for item in connection.execute(text(f"SELECT {columns} FROM async_invocations ORDER BY id"))
        ]
        assert connection.execute(text("SELECT count(*) FROM work_items")).scalar() == 0
    assert [(*row[:-1], bytes(row[-1])) for row in rows] == [
        ("1", "r", "One", "arn:one", received, 9.0, kept) for received in (5.0, 3.0)
    ]
    engine.dispose()


@pytest.mark.parametrize("since", [None, *VERSIONS])
def test_a_server_killed_while_it_migrates_starts_again(tmp_path: Path, since: str | None) -> None:
    """Killed at one statement after another, from nothing and from every earlier schema."""
    statements = 0
    for nth in itertools.count(1):
        path = tmp_path / f"{nth}.db"
        pid = os.fork()
        if pid == 0:
            _migrate_and_die(path, since, nth)
        _, status = os.waitpid(pid, 0)
        again = engine_for(f"sqlite:///{path}", "process")
        schema.upgrade(again)
        with again.connect() as connection:
            rows = connection.execute(text("SELECT name, value FROM installation")).all()
            values = {row.name: row.value for row in rows}
            assert values.pop(schema.MARK) == schema.known()
            assert values == ({"id": "kept"} if since is not None else {})
        again.dispose()
        if os.waitstatus_to_exitcode(status) == 0:
            statements = nth
            break
    assert statements > 2


def _migrate_and_die(path: Path, since: str | None, nth: int) -> None:
    """In a process of its own: bring a database to `since`, then upgrade it, and die before the nth statement."""
    try:
        engine = engine_for(f"sqlite:///{path}", "process")
        if since is not None:
            schema.upgrade(engine, since)
            with engine.connect() as connection:
                connection.execute(text("INSERT INTO installation VALUES ('id', 'kept')"))
        left = itertools.count(nth, -1)

        @event.listens_for(engine, "before_cursor_execute")
        def die(*_: object) -> None:
            if next(left) == 0:
                os._exit(9)

        schema.upgrade(engine)
        os._exit(0)
    finally:
        os._exit(7)
