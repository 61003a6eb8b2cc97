"""`ml.*` instance types as CPU, memory and GPU counts, capped to this machine where a job asks for more than there is.

Sizes follow EC2's naming: `large` is 2 vCPUs, `<n>xlarge` 4n; memory per vCPU is the family's. What the rule does not
give stands in `instances.toml`. Source: EC2 and SageMaker AI pricing pages, 2026-11.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TYPE = re.compile(r"^ml\.(?P<family>[a-z0-9-]+)\.(?P<size>[a-z0-9-]+)$")
TABLE = Path(__file__).with_name("instances.toml")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance type: vCPUs, memory in MiB, number of GPUs."""

    name: str
    vcpus: int
    memory_mb: int
    gpus: int


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def instance(name: str) -> Instance:
    """Look an instance type up. A type we have no figures for counts as 4 vCPUs and 16 GiB."""
    exact = _table()["exact"].get(name.removeprefix("ml."))
    if exact is not None:
        return Instance(name, exact[0], exact[1] * 1024, exact[2])
    matched = TYPE.match(name)
    if matched is None:
        return Instance(name, 4, 16 * 1024, 0)
    vcpus = _vcpus(matched["size"])
    family = matched["family"]
    gib_per_vcpu = next((v for k, v in _table()["memory_gib_per_vcpu"].items() if family.startswith(k)), 4)
    gpus = next((v for k, v in _table()["gpus"].items() if family.startswith(k)), 0)
    return Instance(name, vcpus, vcpus * gib_per_vcpu * 1024, gpus)


def _vcpus(size: str) -> int:
    if size in {"large", "medium", "micro", "small"}:
        return 2
    multiple = re.match(r"(\d*)xlarge", size)
    return 4 * int(multiple[1] or 1) if multiple is not None else 4
