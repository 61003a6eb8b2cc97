"""How the command line finds, asks and ends a running server."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.settings import Settings

STOP_S = 20.0
POLL_S = 0.05
FOLLOW_S = 0.5
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # `localmaker env` sets proxies


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    url: str
    pid: int
    admin_token: str = ""
    keys_file: str = ""

    def request(self, what: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the admin API; a body makes it a POST."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.admin_token}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/_localmaker/{what}", data, headers)  # noqa: S310
        with DIRECT.open(request, timeout=60) as answer:
            return json.load(answer)


def url_of(host: str, port: int) -> str:
    """Write the URL of a listening server: IPv6 in brackets, and where it listens everywhere, this machine's own address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def log_file(settings: Settings) -> Path:
    """Where a detached server logs to."""
    return settings.data_dir / "server.log"


def listening(settings: Settings) -> Running | None:
    """Find what the server of a data directory wrote down once it listened; after a crash it may be gone."""
    try:
        written = json.loads((settings.data_dir / "server.json").read_text(encoding="utf-8"))
        return Running(**written)
    except (OSError, ValueError, TypeError):
        return None


def running(settings: Settings) -> Running | None:
    """Find the server of a data directory; None when it does not answer."""
    server = listening(settings)
    try:
        if server is not None:
            server.request("health")
    except (OSError, ValueError):
        return None
    return server


def credentials(running: Running | None, account: str) -> tuple[str, str]:
    """Return access key and secret of an account: any pass, unless the server verifies keys. Raises LookupError."""
    if running is None or not running.keys_file:
        return account, "localmaker"
    from server.authentication import keyring

    keys = keyring.read(Path(running.keys_file)).values()
    for key in keys:
        if key.account == account:
            return key.access_key, key.secret_key
    raise LookupError(f"{running.keys_file} has no key of account {account}")


def end(server: Running) -> None:
    """Ask a server to stop and wait until it has; kill it when it does not."""
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        try:
            os.kill(server.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(POLL_S)
    os.kill(server.pid, signal.SIGKILL)


def server_lines(settings: Settings, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a detached server's log."""
    path = log_file(settings)
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            line = file.readline()
            if line:
                yield line.rstrip("\n")
            elif follow:
                time.sleep(FOLLOW_S)
            else:
                return


def job_lines(server: Running, account: str, name: str, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a job or endpoint from CloudWatch Logs. LookupError where the account has none of this name."""
    import boto3

    key, secret = credentials(server, account)
    client = boto3.client(
        "logs", endpoint_url=server.url, region_name=os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token="",
    )  # fmt: skip
    groups: list[str] = server.request("info")["log_groups"]
    tokens: dict[tuple[str, str], str] = {}
    while True:
        streams = _streams(client, groups, name)
        for group, stream in streams:
            yield from _new_lines(client, group, stream, tokens)
        if not streams and not follow:
            raise LookupError(f"Account {account} has no log of {name}; --account names another one.")
        if not follow:
            return
        time.sleep(FOLLOW_S)


def _streams(client: Any, groups: list[str], name: str) -> list[tuple[str, str]]:
    streams_of_groups = []
    for kind in groups:
        group = kind.replace("{name}", name)
        given = {"logStreamNamePrefix": f"{name}/"} if group == kind else {}
        try:
            streams = client.describe_log_streams(logGroupName=group, **given)["logStreams"]
        except client.exceptions.ResourceNotFoundException:
            continue
        streams_of_groups += [(group, stream["logStreamName"]) for stream in streams]
    return streams_of_groups


def _new_lines(client: Any, group: str, stream: str, tokens: dict[tuple[str, str], str]) -> Iterator[str]:
    while True:
        given = {"nextToken": tokens[group, stream]} if (group, stream) in tokens else {}
        page = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **given)
        tokens[group, stream] = page["nextForwardToken"]
        for event in page["events"]:
            yield f"{stream.rpartition('/')[2]}  {event['message']}"
        if not page["events"]:
            return
