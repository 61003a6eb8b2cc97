"""SageMaker's own events: each change of status that AWS tells EventBridge of, in the shape that it has there.

Model packages, model cards, images and pipelines put theirs themselves. Source: SageMaker developer guide, "Events that Amazon
SageMaker AI sends to Amazon EventBridge" (2026-11), whose examples write times in four ways.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws.events import publish
from backends.aws.events.scope import DEFAULT
from backends.core import events as core_events
from backends.core import rows, tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.kernel import Kernel

SOURCE = "aws.sagemaker"
WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _ms_text(time: float) -> str:
    return str(round(time * 1000))


def _iso(time: float) -> str:
    return publish.iso(datetime.fromtimestamp(time, UTC))


def _ms(time: float) -> int:
    return round(time * 1000)


TYPES: dict[str, tuple[str, Callable[[float], Any]]] = {
    "TrainingJob": ("SageMaker Training Job State Change", _ms_text),
    "HyperParameterTuningJob": ("SageMaker HyperParameter Tuning Job State Change", _ms_text),
    "TransformJob": ("SageMaker Transform Job State Change", _iso),
    "ProcessingJob": ("SageMaker Processing Job State Change", _ms),
    "Endpoint": ("SageMaker Endpoint State Change", _ms),
    "FeatureGroup": ("SageMaker Feature Group State Change", _ms),
    "Model": ("SageMaker Model State Change", _ms),
    "EndpointConfig": ("SageMaker Endpoint Config State Change", _ms),
}
"""The detail-type of a noun's events, and how their times are written."""


def start(kernel: Kernel) -> None:
    """Hear every event as it is written: what a rule matches is promised in the same transaction."""
    core_events.WRITTEN.set(kernel, put)


def put(cx: Context, kind: str, arn: str, new: str) -> None:
    """Put a change of status on the default bus, if anybody listens there."""
    if kind not in TYPES or not publish.rules_of(cx).get(DEFAULT):
        return
    detail_type, write_time = TYPES[kind]
    row = rows.find_arn(cx, kind, arn)
    if row is None:  # deleted: its name is in the ARN
        document: dict[str, Any] = {f"{kind}Name": arn.rpartition("/")[2], f"{kind}Arn": arn, f"{kind}Status": new}
    else:
        document = _with_times(row.document, write_time)
    if kind == "Endpoint":  # the one whose statuses are written otherwise
        document["EndpointStatus"] = WORDS.sub("_", new).upper()
    document["Tags"] = tags.of(cx, arn)
    publish.publish(cx, publish.event_of(cx, SOURCE, detail_type, document, [arn]))


def _with_times(value: Any, write: Callable[[float], Any]) -> Any:
    if isinstance(value, dict):
        return {
            name: write(inner)
            if name.endswith("Time") and isinstance(inner, (int, float))
            else _with_times(inner, write)
            for name, inner in value.items()
        }
    return [_with_times(inner, write) for inner in value] if isinstance(value, list) else value
