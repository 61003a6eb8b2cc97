"""What this machine's Docker engine can do for the tests, and why it cannot."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

LOCAL_BASE = "localmaker/base:bookworm"
TIMEOUT_S = 20
SERVER_IMAGE = "localmaker/server:suite"
BUILD_S = 600
PIP = ("PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
ROOT = Path(__file__).resolve().parents[1]


def open_to_others(path: Path) -> None:
    """Let ordinary users come to a path that lies in the folder of temporary files: `mktemp -d` makes folders for one user.

    A checkout may lie there too, and pytest's own folders do.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    for above in (path, *path.parents):
        if temporary in above.parents and above.stat().st_uid == os.geteuid():
            above.chmod(above.stat().st_mode | 0o011)


@cache
def docker_reason() -> str:
    """Return why Docker cannot be used; empty when it can."""
    try:
        requested = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine: {error}"
    return "" if requested.returncode == 0 else f"no Docker engine answers: {requested.stderr.strip()[-200:]}"


@cache
def has_image(reference: str) -> bool:
    """Return whether the engine has an image."""
    if docker_reason():
        return False
    requested = subprocess.run(
        ["docker", "image", "inspect", reference], capture_output=True, timeout=TIMEOUT_S, check=False
    )
    return requested.returncode == 0


def base_image() -> dict[str, str]:
    """Return LOCALMAKER_BASE_IMAGE for a server: what the environment says, else the base made without a registry."""
    if "LOCALMAKER_BASE_IMAGE" in os.environ or not has_image(LOCAL_BASE):
        return {}
    return {"LOCALMAKER_BASE_IMAGE": LOCAL_BASE}


@cache
def server_image() -> str:
    """Build the server's own image, once for the session, or skip the test that wants it."""
    import pytest

    if not has_image(os.environ.get("LOCALMAKER_BASE_IMAGE", LOCAL_BASE)):
        pytest.skip(docker_reason() or f"no image {LOCAL_BASE}")
    given = {name: os.environ[f"LOCALMAKER_{name}"] for name in PIP if f"LOCALMAKER_{name}" in os.environ}
    given["BASE_IMAGE"] = os.environ.get("LOCALMAKER_BASE_IMAGE", LOCAL_BASE)
    arguments = [part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--quiet", "--tag", SERVER_IMAGE, *arguments, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=BUILD_S)
    return SERVER_IMAGE
