"""Which release of the real image stands behind the request: several answered differently over the years."""

from __future__ import annotations

import os
import re

IMAGE_TAG = "LOCALMAKER_IMAGE_TAG"
"""Set by the service: the tag of the image that the request named, `1.7-1` or `1.0-1-cpu-py3`."""


def tagged(newest: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return version and revision of the tag, (1, 7, 1) for `1.7-1`; `newest` where the tag says none."""
    match = re.match(r"(\d+)\.(\d+)(?:-(\d+))?", os.environ.get(IMAGE_TAG, ""))
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else newest
