"""Two commands for whoever works on LocalMaker: `where` an operation is answered, and how much is built (`coverage`)."""

from __future__ import annotations

import inspect
import json
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api_specs import ledger

if TYPE_CHECKING:
    from backends.core.operation import Operation


def declared() -> dict[tuple[str, str], Operation]:
    """Collect every operation that the components declare or let derive, without opening a database."""
    from backends import load_components
    from backends.core.kernel import Kernel
    from backends.core.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        return Kernel(Settings.read({}, data_dir=Path(folder)), load_components()).operations


def place_of(operation: Operation) -> str:
    """Return `file:line` of a handler; of a derived one the line that every noun shares."""
    handler: Any = inspect.unwrap(operation.handler)
    derived = f"  (derived for {operation.noun})" if operation.noun else ""
    handler = handler.func if isinstance(handler, partial) else handler
    line = inspect.getsourcelines(handler)[1]
    return f"{os.path.relpath(inspect.getsourcefile(handler) or '?')}:{line}{derived}"


def where(operation: Annotated[str, typer.Argument(help="An operation, in any case: CreateTrainingJob.")]) -> None:
    """Print the file and line that answers an operation, and what the ledger says of it."""
    handlers = declared()
    known = [
        (service, name, line)
        for service, lines in ledger.ledger().items()
        for name, line in lines.items()
        if name.lower() == operation.lower()
    ]
    for service, name, line in known:
        handler = handlers.get((service, name))
        place = place_of(handler) if handler is not None else "no handler"
        typer.echo(f"{service}:{name}  {place}\n  {line.state}{': ' + line.missing if line.missing else ''}")
    if not known:
        typer.secho(f"No service of LocalMaker's has an operation {operation}.", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)


def coverage(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """Count the operations of each service: done, partial, refused (501), answered by moto."""
    if as_json:
        typer.echo(json.dumps(ledger.as_json(), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    made = Table("service", *ledger.STATES, "together")
    for service, counts in ledger.counts().items():
        made.add_row(service, *(str(counts[state] or "") for state in ledger.STATES), str(sum(counts.values())))
    Console().print(made)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(where)
    app.command()(coverage)
