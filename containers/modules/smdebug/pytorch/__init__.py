"""For PyTorch: the names that scripts import."""

from smdebug import ReductionConfig, SaveConfig, SaveConfigMode, modes
from smdebug.core.collection import CollectionKeys
from smdebug.core.hook import del_hook, get_hook, set_hook
from smdebug.pytorch.hook import Hook
from smdebug.trials import create_trial

__all__ = [
    "CollectionKeys", "Hook", "ReductionConfig", "SaveConfig", "SaveConfigMode", "create_trial", "del_hook", "get_hook", "modes",
    "set_hook",
]  # fmt: skip
