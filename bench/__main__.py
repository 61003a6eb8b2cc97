"""`python -m bench [--write] [name ...]`: run all benches or the named ones; `--write` puts the figures in the README."""

from __future__ import annotations

import importlib
import sys

from bench import report

NAMES = (
    "start",
    "control_plane",
    "many",
    "transport",
    "iam",
    "s3",
    "invoke",
    "jobs",
    "queue",
    "hardening",
    "transform",
    "pipelines",
    "events",
    "tuning",
    "lineage",
)


def main(arguments: list[str]) -> int:
    """Run; an unknown name is refused."""
    names = [name for name in arguments if not name.startswith("-")] or list(NAMES)
    if not set(names) <= set(NAMES):
        print(f"usage: python -m bench [--write] [{' | '.join(NAMES)}] ...")
        return 2
    for name in names:
        print(f"== {name}", flush=True)
        tables = importlib.import_module(f"bench.{name}").run()
        for table in tables:
            print(f"\n{table.markdown()}", flush=True)
        if "--write" in arguments:
            report.write(name, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
