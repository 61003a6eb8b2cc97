"""JSON, CSV, npy and npz to arrays."""

import io
from typing import Any

import numpy as np
from sagemaker_containers import _encoders

from sagemaker_inference import content_types
from sagemaker_inference.errors import UnsupportedFormatError


def decode(obj: Any, content_type: str) -> Any:
    """Return an array, of npz a sparse matrix. Raises UnsupportedFormatError."""
    if content_type == content_types.CSV:
        return np.genfromtxt(io.StringIO(obj), delimiter=",")
    if content_type == content_types.NPZ:
        import scipy.sparse

        return scipy.sparse.load_npz(io.BytesIO(obj))
    if content_type not in (content_types.JSON, content_types.NPY):
        raise UnsupportedFormatError(content_type)
    return _encoders.decode(obj, content_type)
