"""The requests by which steps make their resources: names and tags of the service's own, and values of the types that are asked for."""

from __future__ import annotations

import hashlib
import string
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.pipelines.expressions import text_of
from backends.pipelines.step_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS = string.ascii_letters + string.digits
RANDOM = 10
EXACT = frozenset({"EndpointConfig", "Endpoint", "InferenceComponent"})
"""Types whose steps may say the whole name; for others a name in the arguments is how it begins (SDK, `use_custom_job_prefix`)."""
SHORTEST_WITH_PREFIX = 63


def code(*of: Any) -> str:
    """Return ten letters and digits that look random, and are the same for the same things."""
    number = int.from_bytes(hashlib.sha256(" ".join(map(str, of)).encode()).digest())
    letters = []
    for _ in range(RANDOM):
        number, digit = divmod(number, len(LETTERS))
        letters.append(LETTERS[digit])
    return "".join(letters)


def name_of(state: Mapping[str, Any], step: str, attempt: int) -> str:
    """Return the name of what a step makes at an attempt; empty for what has none."""
    kind = TYPES.get(state["steps"][step]["type"])
    if kind is None or not kind.longest:
        return ""
    execution = state["execution"]["PipelineExecutionId"]
    begins = f"pipelines-{execution}-{step}" if kind.longest >= SHORTEST_WITH_PREFIX else f"{execution}-{step}"
    return f"{begins[: kind.longest - RANDOM - 1]}-{code(state['nonce'], step, attempt)}"


def request_of(state: Mapping[str, Any], step: str, attempt: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that makes a step's resource."""
    step_type = state["steps"][step]["type"]
    kind = TYPES[step_type]
    request = dict(arguments)
    if kind.longest:
        given, own = request.get(kind.name), name_of(state, step, attempt)
        if given and step_type not in EXACT:
            execution = state["execution"]["PipelineExecutionId"]
            begins = f"{given}-{execution}"[: kind.longest - RANDOM - 1]
            request[kind.name] = f"{begins}-{code(state['nonce'], step, attempt)}"
        elif not given:
            request[kind.name] = own
    if kind.tagged:
        request["Tags"] = _tags(request.get("Tags"), state["execution"], step)
    shape = model.operation(kind.create).input_shape
    typed: dict[str, Any] = _typed(shape, request)
    return typed


def _tags(given: Any, execution: Mapping[str, str], step: str) -> Any:
    """Return tags with those of the service. Unverified: AWS's keys."""
    own = {
        "sagemaker:pipeline-execution-arn": execution["PipelineExecutionArn"],
        "sagemaker:pipeline-name": execution["PipelineName"],
        "sagemaker:pipeline-step-name": step,
    }
    return [*(given if isinstance(given, list) else []), *({"Key": k, "Value": v} for k, v in own.items())]


def _typed(shape: Any, value: Any) -> Any:
    """Return a value as a shape wants it: a parameter's number where a text is asked for, a text's number where a number is."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {k: _typed(shape.members[k], v) if k in shape.members else v for k, v in value.items() if v is not None}
    if kind == "map" and isinstance(value, dict):
        return {text_of(k): _typed(shape.value, v) for k, v in value.items() if v is not None}
    if kind == "list" and isinstance(value, list):
        return [_typed(shape.member, each) for each in value]
    if kind == "string" and isinstance(value, (bool, int, float)):
        return text_of(value)
    if isinstance(value, str):
        return _read(kind, value)
    return int(value) if kind in {"integer", "long"} and isinstance(value, float) and value.is_integer() else value


def _read(kind: str, text: str) -> Any:
    """Return the number or the truth that a text says, or the text: the operation refuses it then."""
    try:
        if kind in {"integer", "long"}:
            return int(text)
        if kind in {"float", "double"}:
            return float(text)
    except ValueError:
        return text
    return {"true": True, "false": False}.get(text.lower(), text) if kind == "boolean" else text
