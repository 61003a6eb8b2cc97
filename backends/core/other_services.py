"""Services of AWS that are not ours, for components that call them: stored by the component that has them answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from backends.core import events
from backends.core.memory import InMemory

if TYPE_CHECKING:
    from backends.core.types import Context

SEND = InMemory[Callable[[Any, dict[str, Any]], Future[tuple[int, Any, bytes]]]]("moto.send")
"""`SEND.of(kernel)(cx, detail)` calls an operation at once, as an `AwsCall` event's detail says it; status, headers, body."""

IS_DELIVERY_ALLOWED = InMemory[Callable[[Any, dict[str, str], str], Future[bool]]]("moto.is_delivery_allowed")
"""`IS_DELIVERY_ALLOWED.of(kernel)(kernel, sender, receiver)`: whether the receiver's policy lets the sender in."""


def put_event(cx: Context, arn: str, kind: str, detail: dict[str, Any]) -> None:
    """Have EventBridge told of a resource, after the commit and at least once: an event of `aws.sagemaker`, its detail-type `kind`."""
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": kind,
        "Detail": json.dumps(detail),
        "Resources": [arn],
        "Time": cx.clock.now(),
    }
    sender = {"service": "sagemaker.amazonaws.com", "account": cx.account, "arn": arn}
    call = {"service": "events", "region": cx.region, "operation": "PutEvents", "parameters": {"Entries": [entry]}}
    events.emit(cx, "AwsCall", arn, "", "events", "", {**call, "sender": sender})
