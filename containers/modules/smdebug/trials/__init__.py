"""Reading what was recorded."""

from typing import Any, NoReturn

from smdebug.core.hook import SENTENCE
from smdebug.exceptions import SMDebugNotImplementedError


def create_trial(path: str, *_: Any, **__: Any) -> NoReturn:
    """Refuse: nothing was recorded that could be read."""
    raise SMDebugNotImplementedError(f"no trial at {path}: {SENTENCE}")
