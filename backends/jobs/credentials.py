"""The way back: a job's role credentials and the address at which it reaches this server.

Real jobs get their role through AWS_CONTAINER_CREDENTIALS_RELATIVE_URI on a link-local address; here the same keys stand
in the environment, which every AWS SDK reads first. Isolated jobs get neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backends.core import arn as arns
from backends.core import keys

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.jobs.runners.base import Runner

DURATION_S = 28 * 24 * 3600.0  # the longest a job may run


def for_job(cx: Context, runner: Runner, role_arn: str, session: str) -> dict[str, str]:
    """Give the variables by which an AWS SDK inside a job signs with the job's role and comes back to this server."""
    url = server_url(cx, runner)
    role = role_arn.rpartition("/")[2]
    arn = arns.Arn("aws", "sts", "", cx.account, f"assumed-role/{role}/{session}")
    key = cx.write(lambda inside: keys.issue(inside, cx.account, str(arn), DURATION_S))
    return {
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_SESSION_TOKEN": key.session_token,
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,  # the sagemaker-training toolkit reads its source archive by this one
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def server_url(cx: Context, runner: Runner) -> str:
    """Give the URL at which jobs of a runner reach this server; listens on that address first where it must."""
    host = runner.endpoint_host()
    state = cx.kernel.state
    if host == cx.settings.host == "127.0.0.1":
        return f"http://127.0.0.1:{state['port']}"
    listening = asyncio.run_coroutine_threadsafe(state["listen_also"](host), state["loop"])
    return str(listening.result(timeout=10))
