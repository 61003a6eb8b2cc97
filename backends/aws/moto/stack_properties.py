"""The properties of an `AWS::SageMaker::*` resource of a CloudFormation template as a request of the API.

Source: CloudFormation's resource reference for Amazon SageMaker (2026-11): names of properties.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.aws.moto import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import Shape

PREFIX = "AWS::SageMaker::"
RENAMED = {
    "Image": {"ImageRoleArn": "RoleArn", "ImageDisplayName": "DisplayName", "ImageDescription": "Description"},
    "ImageVersion": {"Alias": "Aliases"},
}
"""Properties that the API calls otherwise."""
TOKENS = {"ClientToken", "ClientRequestToken"}


def noun_of(resource_type: str) -> str:
    """Return the noun of a resource type; empty where it is none of SageMaker's."""
    return resource_type.removeprefix(PREFIX) if resource_type.startswith(PREFIX) else ""


def request_of(noun: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that properties stand for. RefusedError for one that the resource does not have, or for no such noun."""
    if not model.has_operation(f"Create{noun}") or not model.has_operation(f"Describe{noun}"):
        raise journal.RefusedError("there is no operation that makes one")
    renamed = RENAMED.get(noun, {})
    given = {renamed.get(name, name): value for name, value in properties.items()}
    if noun == "Pipeline":
        definition = given.pop("PipelineDefinition", {})
        _check_is(dict, definition, "PipelineDefinition")
        location = definition.get("PipelineDefinitionS3Location")
        if location is not None:
            _check_is(dict, location, "PipelineDefinitionS3Location")
            location = {"Bucket": "", "Key": "", **location}
            at = {"Bucket": location["Bucket"], "ObjectKey": location["Key"], "VersionId": location.get("Version")}
            given["PipelineDefinitionS3Location"] = {k: v for k, v in at.items() if v is not None}
        else:
            given["PipelineDefinition"] = definition.get("PipelineDefinitionBody", "")
    if noun == "ModelCard" and isinstance(given.get("Content"), dict):
        given["Content"] = json.dumps(_snake(given["Content"]))
    if noun == "ImageVersion" and isinstance(given.get("Aliases"), str):
        given["Aliases"] = [given["Aliases"]]
    shape = model.operation(f"Create{noun}").input_shape
    return dict(_as_shape(shape, given, noun))


def _snake(value: Any) -> Any:
    """Write a model card's content as its schema does: CloudFormation's names are in Pascal case."""
    if isinstance(value, dict):
        return {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(): _snake(inner) for name, inner in value.items()}
    return [_snake(inner) for inner in value] if isinstance(value, list) else value


def _check_is(kind: type, value: Any, path: str) -> None:
    if not isinstance(value, kind):
        raise journal.RefusedError(f"Value of property {path} must be {KINDS[kind]}")


def _as_shape(shape: Shape, value: Any, path: str) -> Any:
    """Return a value as its shape has it: templates write numbers and booleans as text, or text as numbers."""
    kind = shape.type_name
    if kind == "structure":
        _check_is(dict, value, path)
        for name in value:
            if name not in shape.members:
                raise journal.RefusedError(f"Encountered unsupported property {name} in {path}")
        return {name: _as_shape(shape.members[name], inner, f"{path}.{name}") for name, inner in value.items()}
    if kind == "list":
        _check_is(list, value, path)
        return [_as_shape(shape.member, inner, path) for inner in value]
    if kind == "map":
        _check_is(dict, value, path)
        return {name: _as_shape(shape.value, inner, path) for name, inner in value.items()}
    return _as_scalar(kind, value, path)


def _as_scalar(kind: str, value: Any, path: str) -> Any:
    reading = SCALARS.get(kind)
    try:
        return value if reading is None else reading(value)
    except (TypeError, ValueError) as error:
        raise journal.RefusedError(f"Value of property {path} must be of type {kind.capitalize()}") from error


def _boolean(value: Any) -> bool:
    return {"true": True, "false": False}.get(str(value).lower(), bool(value))


def _string(value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise TypeError(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


KINDS: dict[type, str] = {dict: "an object", list: "of type List"}


SCALARS: dict[str, Callable[[Any], Any]] = {
    "integer": int, "long": int, "float": float, "double": float, "boolean": _boolean, "string": _string,
}  # fmt: skip


def with_name(noun: str, request: dict[str, Any], name: str, token: str) -> dict[str, Any]:
    """Return a request with the name that CloudFormation makes where a template gives none, and a token where one is needed."""
    shape = model.operation(f"Create{noun}").input_shape
    own = next((member for member in (f"{noun}Name", "JobDefinitionName") if member in shape.required_members), "")
    made: dict[str, Any] = {}
    if own and own not in request:
        made[own] = name[: shape.members[own].metadata.get("max", 63)].strip("-")
    return {**made, **dict.fromkeys(TOKENS & set(shape.required_members), token), **request}
