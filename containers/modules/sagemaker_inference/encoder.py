"""Arrays to JSON, CSV and npy."""

from typing import Any

from sagemaker_containers import _encoders

from sagemaker_inference import content_types
from sagemaker_inference.errors import UnsupportedFormatError

SUPPORTED_CONTENT_TYPES = {content_types.JSON, content_types.CSV, content_types.NPY}


def encode(array_like: Any, content_type: str) -> Any:
    """Return text for JSON and CSV, bytes for npy. Raises UnsupportedFormatError."""
    if content_type not in SUPPORTED_CONTENT_TYPES:
        raise UnsupportedFormatError(content_type)
    return _encoders.encode(array_like, content_type)
