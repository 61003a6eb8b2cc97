"""What this machine's Docker engine can do for the tests, and why it cannot."""

from __future__ import annotations

import os
import subprocess
from functools import cache

LOCAL_BASE = "localmaker/base:bookworm"
ASK_S = 20


@cache
def docker_reason() -> str:
    """Say why Docker cannot be used; empty when it can."""
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine: {error}"
    return "" if asked.returncode == 0 else f"no Docker engine answers: {asked.stderr.strip()[-200:]}"


@cache
def has_image(reference: str) -> bool:
    """Tell whether the engine has an image."""
    if docker_reason():
        return False
    asked = subprocess.run(["docker", "image", "inspect", reference], capture_output=True, timeout=ASK_S, check=False)
    return asked.returncode == 0


def base_image() -> dict[str, str]:
    """Give LOCALMAKER_BASE_IMAGE for a server: what the environment says, else the base made without a registry."""
    if "LOCALMAKER_BASE_IMAGE" in os.environ or not has_image(LOCAL_BASE):
        return {}
    return {"LOCALMAKER_BASE_IMAGE": LOCAL_BASE}
