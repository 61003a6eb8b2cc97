"""For XGBoost: the names that scripts import."""

from smdebug import SaveConfig, SaveConfigMode, modes
from smdebug.core.collection import CollectionKeys
from smdebug.core.hook import del_hook, set_hook
from smdebug.core.hook import get_hook as _get_hook
from smdebug.trials import create_trial
from smdebug.xgboost.hook import Hook

__all__ = [
    "CollectionKeys", "Hook", "SaveConfig", "SaveConfigMode", "create_trial", "del_hook", "get_hook", "modes", "set_hook",
]  # fmt: skip


def get_hook(json_config_path: str | None = None) -> None:
    """Return None, or refuse where the job has a file to make a hook of, which this framework's does at once."""
    _get_hook(json_config_path, create_if_not_exists=True)
