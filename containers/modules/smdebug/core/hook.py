"""The hook that a job without Debugger does not have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smdebug.exceptions import SMDebugNotImplementedError

if TYPE_CHECKING:
    from typing import NoReturn, Self

CONFIG_FILE = "SMDEBUG_CONFIG_FILE_PATH"
_DEFAULT = "/opt/ml/input/config/debughookconfig.json"
SENTENCE = (
    "smdebug records no tensors in LocalMaker, which has no Debugger: leave the hook out, or take what get_hook() returns, "
    "which is None as on AWS where Debugger is off"
)


class BaseHook:
    """Of every framework; cannot be made. Raises SMDebugNotImplementedError."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise SMDebugNotImplementedError(SENTENCE)

    @classmethod
    def create_from_json_file(cls, json_file_path: str | None = None) -> Self:
        """Read the job's Debugger configuration. Raises FileNotFoundError where it has none, else as the constructor."""
        path = json_file_path or os.environ.get(CONFIG_FILE, _DEFAULT)
        if not Path(path).is_file():
            raise FileNotFoundError(2, f"this job has no configuration of Debugger; {SENTENCE}", path)
        return cls()

    @classmethod
    def hook_from_config(cls, json_config_path: str | None = None) -> Self:
        """Be the older name."""
        return cls.create_from_json_file(json_config_path)


def get_hook(json_config_path: str | None = None, create_if_not_exists: bool = False) -> None:
    """Return None: there is no hook, and the job has no file to make one of.

    Raises SMDebugNotImplementedError where a file is there and one is to be made.
    """
    if create_if_not_exists and Path(json_config_path or os.environ.get(CONFIG_FILE, _DEFAULT)).is_file():
        raise SMDebugNotImplementedError(SENTENCE)


def set_hook(custom_hook: Any) -> NoReturn:
    """Refuse: what is no hook of this library cannot be one."""
    raise SMDebugNotImplementedError(f"custom_hook={custom_hook!r}: {SENTENCE}")


def del_hook() -> None:
    """Forget the hook, of which there is none."""
