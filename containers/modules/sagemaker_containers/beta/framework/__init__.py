"""The names under which scripts import the toolkit."""

from sagemaker_containers import _content_types as content_types
from sagemaker_containers import _encoders as encoders
from sagemaker_containers import _env as env
from sagemaker_containers import _errors as errors
from sagemaker_containers import _modules as modules
from sagemaker_containers import _worker as worker
from sagemaker_containers import entry_point
from sagemaker_containers._env import training_env

__all__ = ["content_types", "encoders", "entry_point", "env", "errors", "modules", "training_env", "worker"]
