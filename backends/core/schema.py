"""Bring a database to the schema of this version: alembic's migrations, which start with the first schema.

Those up to 0004 are one line. Since then every component has a line of its own, so that several can be written at once:
`<component>_<number>_<what>.py`, whose first depends on what it needs. A database that is already there costs one query at
start; alembic is imported only when something has to change.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from backends.core.tables import installation

if TYPE_CHECKING:
    from sqlalchemy import Engine

MIGRATIONS = Path(__file__).parent / "migrations"
MARK = "schema"


def known() -> str:
    """Return a digest of the names of all migrations, which a database that has had them keeps."""
    names = sorted(path.stem for path in (MIGRATIONS / "versions").glob("*_*.py") if path.stem != "__init__")
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def upgrade(engine: Engine, revision: str = "heads") -> None:
    """Run the migrations up to `revision`, none where all have run, in one transaction: see `migrations/env.py`."""
    if _had(engine) == known():
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine
    config.attributes["known"] = known() if revision == "heads" else ""
    command.upgrade(config, revision)


def _had(engine: Engine) -> str | None:
    """Return the digest of the migrations that a database has had; None for one that is new, or older than digests."""
    if not inspect(engine).has_table("installation"):
        return None
    with engine.connect() as connection:
        return connection.execute(select(installation.c.value).where(installation.c.name == MARK)).scalar()
