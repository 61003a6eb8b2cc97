"""Bad requests of every operation that the model has, made from the model: AWS's code, status and sentence, without a client's checks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from api_specs import model, validate
from server.cli_develop import declared
from tests.life.sample import sample
from tests.server.in_process import InProcessClient, signed, with_gateway
from tests.server.wire import request_from_botocore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.model import OperationModel, Shape

ACCOUNT = "111122223333"
HANDLED = declared()
OPERATIONS = [
    (service, name)
    for service in model.SAGEMAKER_SERVICES
    for name in model.operations(service)
    if (service, name) in HANDLED and model.operation(name, service).input_shape is not None
]
FOUND_BY_ITS_NAME = ("Describe", "Update", "Stop", "Start", "Delete")
NOT_ERRORS = {"DeleteHyperParameterTuningJob"}
"""Operations that succeed for what is not there (contracts: common.md, section 4)."""
Broken = tuple[str, str, dict[str, Any], str]
"""A service, an operation, its parameters, and a part of the sentence that must come."""


def base(service: str, name: str) -> dict[str, Any]:
    shape = model.operation(name, service).input_shape
    return dict(sample(shape)) if shape is not None else {}


def in_body(operation: OperationModel) -> Iterator[tuple[str, Shape]]:
    """Yield the members of a request that stand in its body."""
    for member, shape in operation.input_shape.members.items():
        if not shape.serialization.get("location") and shape.type_name != "blob":
            yield member, shape


def path_of(member: str) -> str:
    return member[0].lower() + member[1:]


def without_a_member() -> Iterator[Broken]:
    for service, name in OPERATIONS:
        operation = model.operation(name, service)
        for member, _ in in_body(operation):
            if member in operation.input_shape.required_members:
                rest = {k: v for k, v in base(service, name).items() if k != member}
                yield (
                    service,
                    name,
                    rest,
                    f"Value null at '{path_of(member)}' failed to satisfy constraint: Member must not be null",
                )


def beyond_a_constraint() -> Iterator[Broken]:
    for service, name in OPERATIONS:
        for member, shape in in_body(model.operation(name, service)):
            for value, sentence in breaking(shape):
                yield (
                    service,
                    name,
                    {**base(service, name), member: value},
                    f"at '{path_of(member)}' failed to satisfy constraint: {sentence}",
                )


def breaking(shape: Shape) -> Iterator[tuple[Any, str]]:
    """Yield a value for each constraint of a shape that breaks it, and how AWS says so."""
    limits, kind = shape.metadata, shape.type_name
    if kind == "string":
        if shape.enum:
            yield "no such value", "Member must satisfy enum value set: ["
        elif "max" in limits and limits["max"] < 5000:
            yield "a" * (limits["max"] + 1), f"Member must have length less than or equal to {limits['max']}"
        if any("regular expression" in phrase for phrase in validate.violations(shape, "\t\0")):
            yield "\t\0", "Member must satisfy regular expression pattern: "
    if kind in {"integer", "long", "float", "double"}:
        if "max" in limits:
            yield limits["max"] + 1, f"Member must have value less than or equal to {limits['max']}"
        if "min" in limits:
            yield limits["min"] - 1, f"Member must have value greater than or equal to {limits['min']}"
    if kind == "list" and limits.get("min"):
        yield [], f"Member must have length greater than or equal to {limits['min']}"


def of_another_type() -> Iterator[Broken]:
    wrong = {
        "string": {},
        "list": "a",
        "structure": "a",
        "map": "a",
        "integer": "a",
        "long": "a",
        "boolean": [],
        "timestamp": [],
    }
    for service, name in OPERATIONS:
        if service == "sagemaker":
            for member, shape in in_body(model.operation(name, service)):
                if shape.type_name in wrong:
                    yield service, name, {**base(service, name), member: wrong[shape.type_name]}, ""


def of_what_is_not_there() -> Iterator[Broken]:
    for service, name in OPERATIONS:
        noun = HANDLED[service, name].noun
        if noun and name.startswith(FOUND_BY_ITS_NAME) and name not in NOT_ERRORS:
            yield service, name, base(service, name), model.not_found(noun)["code"]


def off_a_page() -> Iterator[Broken]:
    for service, name in OPERATIONS:
        members = model.operation(name, service).input_shape.members
        if (
            name.startswith("List")
            and not base(service, name)
            and "NextToken" in members
            and not members["NextToken"].serialization.get("location")
        ):
            yield service, name, {**base(service, name), "NextToken": "bm90LW91cnM"}, ""


async def send(client: InProcessClient, service: str, name: str, parameters: dict[str, Any]) -> tuple[int, str, str]:
    """Return status, code and message of an answer."""
    request = request_from_botocore(model.operation(name, service), base(service, name))
    if service == "sagemaker":  # as no serializer would write it
        request = replace(request, body=json.dumps(parameters).encode())
    else:
        request = request_from_botocore(model.operation(name, service), parameters)
    answer = await client.send(replace(request, headers={**request.headers, **signed("sagemaker", ACCOUNT)}))
    said = json.loads(bytes(answer.body) or b"{}") if isinstance(answer.body, bytes) else {}
    code = said.get("__type") or {k.lower(): v for k, v in answer.headers}.get("x-amzn-errortype", "")
    return answer.status, str(code), str(said.get("message") or said.get("Message") or "")


CASES = {
    "without a member": (without_a_member, "ValidationException"),
    "beyond a constraint": (beyond_a_constraint, "ValidationException"),
    "of another type": (of_another_type, "SerializationException"),
    "off a page": (off_a_page, "ValidationException"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_request_gets_awss_error(tmp_path: Path, case: str) -> None:
    cases, code = CASES[case]
    wrong: list[Any] = []

    async def work(client: InProcessClient) -> None:
        for service, name, parameters, sentence in cases():
            answered = await send(client, service, name, parameters)
            if answered[:2] != (400, code) or sentence not in answered[2]:
                wrong.append((service, name, parameters, sentence, answered))

    with_gateway(tmp_path, work)
    assert not wrong, f"{len(wrong)}: {wrong[:5]}"


def test_what_is_not_there_is_said_to_be_not_there(tmp_path: Path) -> None:
    wrong: list[Any] = []

    async def work(client: InProcessClient) -> None:
        for service, name, parameters, code in of_what_is_not_there():
            answered = await send(client, service, name, parameters)
            if answered[:2] not in {(400, code), (404, code)}:
                wrong.append((name, parameters, code, answered))

    with_gateway(tmp_path, work)
    assert not wrong, f"{len(wrong)}: {wrong[:5]}"
