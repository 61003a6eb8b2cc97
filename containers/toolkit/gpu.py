"""Whether the GPUs that a job was given are really there: asked of the driver, without any library of a recipe's."""

from __future__ import annotations

import ctypes
import os

REQUIRED = "LOCALMAKER_REQUIRED_GPUS"
"""Set by the runner for an instance type with GPUs; the job refuses to train on fewer."""


class CapacityError(Exception):
    """Fewer devices than the instance type has."""


def device_count() -> int:
    """Return how many CUDA devices this process sees (CUDA_VISIBLE_DEVICES counts); 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def check() -> None:
    """Raise CapacityError unless as many devices are seen as LOCALMAKER_REQUIRED_GPUS says (nothing when it is not set)."""
    required = int(os.environ.get(REQUIRED, "0"))
    if not required:
        return
    seen = device_count()
    if seen < required:
        raise CapacityError(f"the job was given {required} GPU(s) and sees {seen}; it does not fall back to the CPU")
    print(f"{seen} CUDA device(s) visible", flush=True)
