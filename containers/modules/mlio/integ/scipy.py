"""Sparse tensors as matrices."""

from typing import Any

import scipy.sparse

from mlio import CooTensor, DenseTensor


def to_coo_matrix(tensor: DenseTensor | CooTensor) -> Any:
    """Return a scipy.sparse.coo_matrix [rows, columns]."""
    if isinstance(tensor, DenseTensor):
        return scipy.sparse.coo_matrix(tensor.array)
    rows = tensor.rows
    shape = (len(rows.indptr) - 1, tensor.columns)
    return scipy.sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=shape).tocoo()
