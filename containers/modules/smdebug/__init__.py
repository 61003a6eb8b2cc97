"""Debugger's library, as far as a job without Debugger needs it: no tensors are recorded here, and whatever would record them says so.

Scripts go on as on AWS where Debugger is off: `get_hook()` is None. Names and defaults: awslabs/sagemaker-debugger 1.0.34.
"""

from smdebug.core.collection import CollectionKeys
from smdebug.core.modes import ModeKeys as modes  # noqa: N813 - the library's name
from smdebug.core.reduction_config import ReductionConfig
from smdebug.core.save_config import SaveConfig, SaveConfigMode

__version__ = "1.0.34"
__all__ = ["CollectionKeys", "ReductionConfig", "SaveConfig", "SaveConfigMode", "modes"]
