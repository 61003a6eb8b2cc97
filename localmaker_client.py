"""A running server as tests see it: its URL, the environment of `localmaker env`, boto3 clients.

What the pytest plugin and the container share. Imports none of LocalMaker's packages: the command line runs in an
interpreter of its own, so a project that has a top-level package named `server` keeps it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
ACCOUNT = "000000000000"
REGION = "us-east-1"
# Our folder comes first on the child's path, whatever the project has installed under the names of our packages.
BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from server.cli import app; app()"
FOLDER = Path(__file__).resolve().parent
# A test session shares nothing with the server that its user may run beside it.
NOT_INHERITED = ("PYTHONPATH", "LOCALMAKER_DATABASE_URL", "LOCALMAKER_DATA_DIR", "LOCALMAKER_HOST", "LOCALMAKER_PORT")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server needs no proxy to be reached


def command(*arguments: str) -> list[str]:
    """Return the command line of `localmaker` as an argument list, whatever is on the PATH."""
    return [sys.executable, "-P", "-c", BOOT, str(FOLDER), *arguments]


def environment() -> dict[str, str]:
    """Return the environment that commands run in."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    if folder := kept.get("LOCALMAKER_INIT_DIR"):  # they run in another folder than the tests
        kept["LOCALMAKER_INIT_DIR"] = str(Path(folder).absolute())
    return kept


@dataclass(frozen=True)
class LocalMaker:
    """A running server. `url` is its endpoint, `data_dir` the temporary directory of its state and its log.

    Of one `elsewhere` (in a container) `data_dir` holds the CA certificate that it was asked for, and nothing more.
    """

    url: str
    data_dir: Path
    elsewhere: bool = False

    @cached_property
    def _said(self) -> list[list[str]]:
        """The lines of `localmaker env`, each as the shell splits it; asked once, when first wanted."""
        where = ["--url", self.url] if self.elsewhere else []
        requested = subprocess.run(
            command("env", "--data-dir", str(self.data_dir), *where),
            env=environment(),
            cwd=self.data_dir,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if requested.returncode:
            raise RuntimeError(f"`localmaker env` failed:\n{requested.stderr}")
        return [shlex.split(line) for line in requested.stdout.splitlines()]

    def env_of(self, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
        """Return all that `localmaker env` exports; any 12 digits are an account of their own."""
        given = dict(words[1].split("=", 1) for words in self._said if words[0] == "export")
        if account != ACCOUNT:
            given["AWS_ACCESS_KEY_ID"] = account
        return given | {"AWS_DEFAULT_REGION": region, "AWS_REGION": region}

    @property
    def misleading(self) -> list[str]:
        """The variables that `localmaker env` unsets, because they would send clients elsewhere."""
        return [name for words in self._said if words[0] == "unset" for name in words[1:]]

    @property
    def env(self) -> dict[str, str]:
        """The environment that points AWS clients at this server."""
        return self.env_of()

    def client(self, service: str, *, account: str = ACCOUNT, region: str = REGION, **options: Any) -> Any:
        """Return a boto3 client; `options` go to boto3 as they are."""
        import boto3

        keys = {"aws_access_key_id": account, "aws_secret_access_key": "localmaker"}  # any secret passes
        session = boto3.session.Session(**keys, region_name=region)
        return session.client(service, endpoint_url=self.url, **options)

    def reset(self, account: str | None = None) -> None:
        """Stop the jobs and endpoints of one account (or of all) and forget what it has."""
        body = json.dumps({"account": account}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_localmaker/reset", body, headers)  # noqa: S310 - our own URL
        with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
            answer.read()
