"""The command line: start, stop, look at and clean up one server and what it made."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from backends.core import private
from server import cli_clients, cli_develop, cli_iam, control
from server.cli_common import AsJson, DataDir, print_answer, settings_of, stop_with

if TYPE_CHECKING:
    from backends.core.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Amazon SageMaker on your own machine.")
images_app = typer.Typer(no_args_is_help=True, help="The environments and images that recipes are made into.")
app.add_typer(images_app, name="images")
cli_clients.add_to(app)
cli_develop.add_to(app)
cli_iam.add_to(app)

START_S = 30
POLL_S = 0.02


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    made = Table(*columns)
    for row in rows:
        made.add_row(*row)
    Console().print(made)


@app.command()
def start(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; return when ready.")] = False,
    port: Annotated[int | None, typer.Option(help="Port to listen on (LOCALMAKER_PORT, 4566).")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (LOCALMAKER_HOST, 127.0.0.1).")] = None,
    runner: Annotated[str | None, typer.Option(help="auto, docker or process (LOCALMAKER_RUNNER).")] = None,
    data_dir: DataDir = None,
) -> None:
    """Start the server."""
    settings = settings_of(data_dir, port=port, host=host, runner=runner)
    if detach:
        _start_detached(settings)
        return
    from backends.core.lease import LeaseHeldError
    from backends.core.settings import SettingError
    from server.serve import serve

    try:
        serve(settings)
    except (LeaseHeldError, SettingError, OSError) as error:
        stop_with(str(error))


def _start_detached(settings: Settings) -> None:
    running = control.running(settings)
    if running is not None:
        stop_with(f"A server is running already: {running.url} (pid {running.pid})")
    private.directory(settings.data_dir)
    command = [sys.executable, "-m", "server.cli", "start", "--port", str(settings.port), "--host", settings.host]
    command += ["--runner", settings.runner, "--data-dir", str(settings.data_dir)]
    with control.log_file(settings).open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, close_fds=True
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        server = control.listening(settings)  # its first answer from the admin API would cost it FastAPI's import
        if server is not None and server.pid == process.pid:
            _await_init_scripts(settings, server, process)
            typer.secho(f"Ready at {server.url}", fg=typer.colors.GREEN)
            typer.echo(f'Point your clients at it:  eval "$({_myself(settings)} env)"')
            return
        if process.poll() is not None:
            break
        time.sleep(POLL_S)
    _stop_with_log(settings)


def _stop_with_log(settings: Settings) -> NoReturn:
    tail = control.log_file(settings).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    stop_with("The server did not start:\n  " + "\n  ".join(tail))


def _await_init_scripts(settings: Settings, running: control.Running, process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of the init scripts, each of which has a time-out; no script, no question."""
    from server import init_hooks

    count = len(init_hooks.find_hooks(settings).scripts)
    if not count:
        return
    typer.echo(f"Running {count} init script{'s' if count > 1 else ''} of {init_hooks.folder_of(settings)}")
    answer: dict[str, Any] = {}
    while not answer or not all(answer["completed"].values()):
        if process.poll() is not None:
            _stop_with_log(settings)
        time.sleep(POLL_S)  # another process: there is nothing to wait on
        with suppress(OSError):
            answer = running.request("init")
    failed = [script for script in answer["scripts"] if script["state"] == init_hooks.ERROR]
    for script in failed:
        typer.secho(f"init script {script['name']} failed: {script['reason']}", fg=typer.colors.RED, err=True)
    if failed and settings.init_strict:
        process.wait()
        _stop_with_log(settings)


def _myself(settings: Settings) -> str:
    """Spell this command as the user could, with the data directory where it is not the usual one."""
    from backends.core.settings import Settings

    name = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("localmaker") else "localmaker"
    usual = settings.data_dir == Settings.read().data_dir
    return name if usual else f"LOCALMAKER_DATA_DIR={shlex.quote(str(settings.data_dir))} {name}"


@app.command()
def stop(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the server. Jobs and endpoints run on; the next start adopts them."""
    settings = settings_of(data_dir)
    running = control.running(settings)
    if running is None:
        stop_with("No server is running.", 3)
    control.end(running)
    print_answer({"stopped": running.url}, f"Stopped {running.url}", as_json=as_json)


@app.command()
def status(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    init: Annotated[bool, typer.Option("--init", help="Exit code 4 unless all init scripts have ended well.")] = False,
) -> None:
    """Show whether a server runs, and what it can do. Exit code 3 when none does."""
    running = control.running(settings_of(data_dir))
    if running is None:
        stop_with("No server is running.", 3)
    health, info = running.request("health"), running.request("info")
    if as_json:
        typer.echo(json.dumps({"url": running.url, "pid": running.pid, "health": health, "info": info}, indent=2))
    else:
        _show_status(running, health, info)
    if init and (health["init"]["failed"] or not health["init"]["completed"]):
        stop_with("Init scripts: " + (", ".join(health["init"]["failed"]) or "running"), 4)


def _show_status(running: control.Running, health: dict[str, Any], info: dict[str, Any]) -> None:
    operations = {service: len(names) for service, names in info["operations"].items()}
    runners = [[f"runner {name}", reason or "ready"] for name, reason in health["runner"].items()]
    rows = [
        ["URL", running.url],
        ["process", str(running.pid)],
        ["data", info["data_dir"]],
        ["database", f"{info['database']}, durability {info['durability']}"],
        *runners,
        *[["sandbox", text] for text in health["sandbox_weaknesses"]],
        ["operations", ", ".join(f"{service} {count}" for service, count in operations.items())],
    ]
    table(["LocalMaker", health["version"]], rows)


@app.command()
def logs(
    job: Annotated[
        str | None, typer.Argument(help="A training or processing job, or an endpoint; without one, the server's log.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more lines.")] = False,
    account: str = "000000000000",
    data_dir: DataDir = None,
) -> None:
    """Print the log of a job or endpoint, or of the server itself."""
    settings = settings_of(data_dir)
    if job is None:
        lines = control.server_lines(settings, follow=follow)
    else:
        running = control.running(settings)
        if running is None:
            stop_with("No server is running.", 3)
        lines = control.job_lines(running, account, job, follow=follow)
    try:
        for line in lines:
            typer.echo(line)
    except KeyboardInterrupt:
        raise typer.Exit from None
    except LookupError as error:
        stop_with(str(error))


@app.command()
def jobs(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that ended last.")] = False,
) -> None:
    """Show what runs now: training and processing jobs and endpoints, of all accounts."""
    running = control.running(settings_of(data_dir))
    if running is None:
        stop_with("No server is running.", 3)
    listed = running.request("jobs?ended=true" if everything else "jobs")
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    table(["job", "phase", "runner", "ARN"], [[j["id"], j["phase"], j["runner"], j["arn"]] for j in listed["jobs"]])
    if everything:
        table(
            ["ended", "status", "duration", "reason", "ARN"],
            [[j["name"], j["status"], f"{j['seconds']:.0f} s", j["reason"], j["arn"]] for j in listed["ended"]],
        )


@app.command()
def reset(
    account: Annotated[str | None, typer.Option(help="Forget only this account.")] = None,
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the jobs and endpoints of one account (or all) and forget what it has: objects, jobs, models, logs."""
    running = control.running(settings_of(data_dir))
    if running is None:
        stop_with("No server is running.", 3)
    whose = f"account {account}" if account is not None else "all accounts"
    if not yes:
        typer.confirm(f"Forget everything of {whose} on {running.url}?", abort=True)
    answer = running.request("reset", {"account": account})
    print_answer(answer, f"Forgot {whose}.", as_json=as_json)


@app.command()
def prune(
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove cached environments and images of recipes that have changed since. The server may run."""
    from server import pruning

    settings = settings_of(data_dir)
    unused = pruning.superfluous(settings)
    if not unused:
        print_answer({"removed": []}, "Nothing to remove.", as_json=as_json)
        return
    if not yes:
        typer.echo("\n".join(unused))
        typer.confirm("Remove these?", abort=True)
    removed = pruning.remove(unused)
    print_answer({"removed": removed}, f"Removed {len(removed)}.", as_json=as_json)


@images_app.command("list")
def images_list(as_json: AsJson = False) -> None:
    """Show the recipes, the official images they stand for, and what is made of them already."""
    from server import pruning

    rows = pruning.recipes_made(settings_of())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table(
        ["recipe", "stands for", "environment", "Docker image"],
        [
            [
                r["recipe"],
                "\n".join(r["images"]),
                *("made" if r[kind] else "not made" for kind in ("environment", "docker")),
            ]
            for r in rows
        ],
    )


@images_app.command("build")
def images_build(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or `all`.")] = "all",
    runner: Annotated[str, typer.Option(help="process (a virtual environment) or docker (an image).")] = "process",
    cuda: Annotated[bool, typer.Option("--cuda", help="With the CUDA libraries.")] = False,
) -> None:
    """Make environments or images now, so that no job waits for them."""
    from backends.jobs import images
    from server import pruning

    names = list(images.RECIPES) if recipe == "all" else [recipe]
    if unknown := [name for name in names if name not in images.RECIPES]:
        stop_with(f"No recipe is named {unknown[0]}; there are {', '.join(images.RECIPES)}.")
    for name in names:
        try:
            made = pruning.build(
                settings_of(), name, runner=runner, cuda=cuda, log_line=lambda text: typer.echo(f"  {text}")
            )
        except RuntimeError as error:
            stop_with(str(error))
        typer.secho(f"{name}: {made}", fg=typer.colors.GREEN)


if __name__ == "__main__":
    app()
