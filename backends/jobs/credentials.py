"""The way back: a job's role credentials and the address at which it reaches this server.

Real jobs get their role through AWS_CONTAINER_CREDENTIALS_RELATIVE_URI on a link-local address; here the same keys stand
in the environment, which every AWS SDK reads first. Isolated jobs get neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core import keys
from backends.core.listening import LISTEN_ALSO, PORT
from backends.core.loops import EVENT_LOOP
from backends.core.memory import InMemory
from backends.jobs.spec import Mount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.jobs.runners.base import Runner

CA_BUNDLE = "/opt/localmaker/ca-bundle.pem"
FILES = InMemory[Callable[[str], Path | None]]("server.files_for_jobs")
"""Return the folder of the files that lead a job's clients to the server at a URL; stored by the server."""
DURATION_S = 28 * 24 * 3600.0  # the longest a job may run


@dataclass(frozen=True, slots=True)
class Access:
    """What leads a job back to this server: variables, and files that its hosts must see."""

    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


def for_job(
    cx: Context, runner: Runner, role_arn: str, session: str, opened: Mapping[str, Any] | None = None
) -> Access:
    """Return what an AWS SDK inside a job needs to sign with the job's role and to come back to this server.

    The keys end with the job: its component calls `keys.end_sessions` with the same `session`, which is opened with the
    tags of `opened` (`role_access.chained`).
    Both SageMaker SDKs ask STS at AWS's own host, whatever the variables say; they find that host in botocore's list, of
    which the job's home gets another copy.
    """
    url = server_url(cx, runner)
    role = role_arn.rpartition("/")[2]
    arn = arns.Arn("aws", "sts", "", cx.account, f"assumed-role/{role}/{session}")
    key = cx.write(lambda inside: keys.issue(inside, cx.account, str(arn), DURATION_S, opened))
    variables = {
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_SESSION_TOKEN": key.session_token,
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,  # the sagemaker-training toolkit reads its source archive by this one
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    files: Path | None = FILES.of(cx.kernel)(url) if runner.home else None
    if files is None:
        return Access(variables)
    mounts = (Mount(files / "models", f"{runner.home}/.aws/models"), Mount(files / "ca-bundle.pem", CA_BUNDLE))
    return Access({**variables, "AWS_CA_BUNDLE": CA_BUNDLE}, mounts)


def server_url(cx: Context, runner: Runner) -> str:
    """Return the URL at which jobs of a runner reach this server; listens on that address first where it must."""
    host = runner.endpoint_host()
    if host == cx.settings.host == "127.0.0.1":
        return f"http://127.0.0.1:{PORT.of(cx.kernel)}"
    listening = asyncio.run_coroutine_threadsafe(LISTEN_ALSO.of(cx.kernel)(host), EVENT_LOOP.of(cx.kernel))
    return str(listening.result(timeout=10))
