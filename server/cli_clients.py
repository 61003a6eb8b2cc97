"""Commands for clients: the environment that leads them here (`env`), one command in it (`run`), the CA (`ca`)."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from server import control, environment
from server.cli_common import AsJson, DataDir, print_answer, settings_of, stop_with

if TYPE_CHECKING:
    from backends.core.settings import Settings

Account = Annotated[str, typer.Option(help="Any 12 digits: an account of their own.")]
Url = Annotated[str | None, typer.Option(help="A server that is not of this data directory: in a container, say.")]


def _variables(settings: Settings, url: str | None, account: str) -> dict[str, str]:
    try:
        if url is not None:  # whose keys, if it verifies any, are not ours to know
            given = control.credentials(None, account)
            return environment.of_other(settings.data_dir, url.rstrip("/"), given, os.environ)
        running = control.running(settings)
        here = running.url if running is not None else control.url_of(settings.host, settings.port)
        return environment.of_installation(settings.data_dir, here, control.credentials(running, account), os.environ)
    except (OSError, LookupError, ValueError) as error:
        stop_with(str(error))


def env(data_dir: DataDir = None, account: Account = "000000000000", url: Url = None, as_json: AsJson = False) -> None:
    """Print the variables that point AWS clients at the server: `eval "$(localmaker env)"`."""
    variables = _variables(settings_of(data_dir), url, account)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    gone = " ".join(environment.unset(os.environ))
    print_answer(variables, "\n".join([*lines, f"unset {gone}"]), as_json=as_json)


def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
    data_dir: DataDir = None,
    account: Account = "000000000000",
    url: Url = None,
) -> NoReturn:
    """Run one command in that environment: `localmaker run -- python train.py`."""
    given = _variables(settings_of(data_dir), url, account)
    try:
        os.execvpe(command[0], command, environment.applied(os.environ, given))  # noqa: S606 - no shell on purpose
    except OSError as error:
        stop_with(f"{command[0]}: {error.strerror}", 127)


def ca(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the path of the certificate of LocalMaker's own CA, which answers for AWS's hosts."""
    from server.listener import authority

    try:
        path = authority.ensure(settings_of(data_dir).data_dir)
    except OSError as error:
        stop_with(str(error))
    print_answer({"certificate": str(path)}, str(path), as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(env)
    app.command(context_settings={"ignore_unknown_options": True})(run)
    app.command()(ca)
