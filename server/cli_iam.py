"""`localmaker iam policy`: the least policy that the recorded calls of a run needed."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import urlencode

import typer

from server import control
from server.cli_common import DataDir, settings_of, stop_with

iam_app = typer.Typer(no_args_is_help=True, help="What roles and users do, and what they need for it (docs/iam.md).")


@iam_app.command("policy")
def policy(
    role: Annotated[str | None, typer.Option(help="A role's name.")] = None,
    user: Annotated[str | None, typer.Option(help="A user's name.")] = None,
    account: str = "000000000000",
    allowed_only: Annotated[
        bool, typer.Option("--allowed-only", help="Leave out calls that the present policies deny.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calls beside the policy.")] = False,
) -> None:
    """Print the policy that allows what a role or user was seen to do while LOCALMAKER_IAM was soft or enforce."""
    if (role is None) == (user is None):
        stop_with("Give --role or --user.", 2)
    running = control.running(settings_of(data_dir))
    if running is None:
        stop_with("No server is running.", 3)
    principal = f"role/{role}" if role is not None else f"user/{user}"
    requested = {"account": account, "principal": principal, "denied": str(not allowed_only).lower()}
    answer = running.request(f"iam/calls?{urlencode(requested)}")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    elif answer["policy"] is None:
        why = " (LOCALMAKER_IAM is off: start with soft)" if answer["iam"] == "off" else ""
        stop_with(f"No call of {principal} is recorded{why}.", 1)
    else:
        typer.echo(answer["policy"])


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(iam_app, name="iam")
