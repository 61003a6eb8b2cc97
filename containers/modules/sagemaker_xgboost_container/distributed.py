"""Several hosts that train one booster."""

from collections.abc import Callable, Sequence
from typing import Any

from containers.xgboost.distributed import _resolved, communicator


def wait_hostname_resolution(sm_hosts: Sequence[str]) -> None:
    """Return once every host's name can be resolved."""
    for host in sm_hosts:
        _resolved(host)


def rabit_run(
    exec_fun: Callable[..., Any],
    args: dict[str, Any],
    include_in_training: bool,
    hosts: list[str],
    current_host: str,
    update_rabit_args: bool = False,
    **_ports: Any,
) -> None:
    """Call `exec_fun(**args)` on every host within one group; with `update_rabit_args` it is told `is_master`."""
    with communicator(current_host, sorted(hosts)) as is_master:
        if include_in_training:
            exec_fun(**args, **({"is_master": is_master} if update_rabit_args else {}))
