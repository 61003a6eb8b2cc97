"""What every module of the command line shares: options, settings, how it speaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from backends.core.settings import Settings

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of state, objects and jobs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def settings_of(data_dir: Path | None = None, **given: Any) -> Settings:
    """Read the settings; a bad one ends the command with its sentence."""
    from backends.core.settings import Settings

    try:
        return Settings.read(data_dir=data_dir.absolute() if data_dir is not None else None, **given)
    except ValueError as error:
        stop_with(str(error))


def stop_with(message: str, code: int = 1) -> NoReturn:
    """Return what is wrong and end."""
    typer.secho(message, fg=typer.colors.RED, err=True)
    raise typer.Exit(code)


def print_answer(answer: Any, text: str, *, as_json: bool) -> None:
    """Print an answer as JSON or as a sentence."""
    typer.echo(json.dumps(answer, indent=2) if as_json else text)
