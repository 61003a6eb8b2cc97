"""LOCALMAKER_IAM=enforce: no operation of any service answers a user who has no policy, and none fails over the question."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends import load_components
from backends.aws.iam import access_keys, users
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from server.route import OWN, SIGNING_NAMES
from server.serve import make_gateway
from tests.server.in_process import InProcessClient, signed
from tests.server.wire import body_of, request_from_botocore

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.model import Shape

    from server.types import HttpResponse

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerExecutionRole"
TEXTS = (
    "a", "abc", "s3://bucket/key", ROLE, "1", "arn:aws:sagemaker:us-east-1:123456789012:model/abc", "2012-10-17",
    "abcdefghijklmnopqrst", "a-very-long-name-that-has-forty-characters", "https://example.com", "v1", "1.0.0",
    "arn:aws:kms:us-east-1:123456789012:key/1", "example.com", "{}", "a@b.cd", "arn:aws:sagemaker:us-east-1:123456789012:job/a/a", "subnet-0123456789abcdef0", "UTC",
)  # fmt: skip
SIGNED_AS = {service: name for name, service in SIGNING_NAMES.items()}
ANSWERED = {"GetCallerIdentity", "GetSessionToken"}
"""What AWS answers without a permission."""


def minimal(shape: Shape) -> Any:
    """Return the smallest value that a shape allows, as far as a few texts fit its patterns."""
    kind, least = shape.type_name, shape.metadata.get("min", 0)
    if kind == "structure":
        names = shape.required_members or list(shape.members)[:1] * bool(shape.is_tagged_union)
        return {name: minimal(shape.members[name]) for name in names}
    if kind == "list":
        return [minimal(shape.member)] * max(int(least), 1)
    if kind == "map":
        return {minimal(shape.key): minimal(shape.value)} if least else {}
    if kind == "string":
        return str(shape.enum[0]) if shape.enum else _text(shape)
    return {"boolean": True, "timestamp": 1.0, "blob": b"x"}.get(kind, max(int(least), 1))


def _text(shape: Shape) -> str:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 10_000)
    pattern = shape.metadata.get("pattern", "")
    for text in (*TEXTS, "a" * least):
        try:
            fits = not pattern or re.match(pattern, text)
        except re.error:  # Java's
            fits = True
        if fits and least <= len(text) <= most:
            return text
    return "a" * max(int(least), 1)


def test_every_operation_is_asked_about(tmp_path: Path) -> None:
    async def main() -> dict[tuple[str, str], HttpResponse]:
        kernel = Kernel(Settings.read({}, data_dir=tmp_path, runner="process", iam="enforce"), load_components())
        kernel.open()
        await kernel.start()
        try:
            return await send_all(kernel)
        finally:
            await kernel.stop()

    async def send_all(kernel: Kernel) -> dict[tuple[str, str], HttpResponse]:
        cx, user = kernel.context(ACCOUNT, "us-east-1"), {"UserName": "nobody"}
        await cx.transact(lambda inside: users.create_user(inside, user))
        made = await cx.transact(lambda inside: access_keys.create_access_key(inside, user))
        client, replies = InProcessClient(make_gateway(kernel)), {}
        for service in OWN:
            headers = signed(SIGNED_AS.get(service, "sagemaker"), made["AccessKey"]["AccessKeyId"])
            for name in model.operations(service):
                operation = model.operation(name, service)
                given = minimal(operation.input_shape) if operation.input_shape is not None else {}
                request = request_from_botocore(operation, given)
                replies[service, name] = await client.send(replace(request, headers={**request.headers, **headers}))
        return replies

    answers = asyncio.run(main())
    denied = [service for (service, _), answer in answers.items() if answer.status == 403]
    malformed = {key for key, answer in answers.items() if b"failed to satisfy constraint" in body_of(answer)}
    others = {key for key, answer in answers.items() if answer.status != 403} - malformed
    assert {name for _, name in others} == ANSWERED
    assert set(denied) == set(OWN)
    assert len(denied) > 0.85 * len(answers), "most requests get as far as the question"
