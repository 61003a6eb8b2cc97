"""Tensors as arrays."""

import numpy as np

from mlio import CooTensor, DenseTensor


def as_numpy(tensor: DenseTensor | CooTensor) -> np.ndarray:
    """Return the array. Raises TypeError for a sparse tensor."""
    if not isinstance(tensor, DenseTensor):
        raise TypeError("a sparse tensor has no array: mlio.integ.scipy.to_coo_matrix")
    return tensor.array
