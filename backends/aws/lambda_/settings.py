"""The settings of Lambda."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from backends.core.declared.settings import ComponentSettings


@dataclass(frozen=True)
class LambdaSettings:
    """What the user decided about functions."""

    lambda_idle_s: Annotated[
        float, "How long an execution environment of a Lambda function that nobody uses is kept, in seconds."
    ] = 300.0


SETTINGS = ComponentSettings(LambdaSettings)
