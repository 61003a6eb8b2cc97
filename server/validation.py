"""What the model forbids, refused with AWS's sentence, under the code that each service has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_specs import validate
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from server.exchange import Exchange

CODES = {
    "iam": "ValidationError",
    "sts": "ValidationError",
    "sagemaker-runtime": "ValidationError",
    "ecr": "InvalidParameterException",
    "resourcegroupstaggingapi": "InvalidParameterException",
}
"""What a service calls a constraint failure, where that is not ValidationException."""


async def check(exchange: Exchange) -> None:
    """Refuse what the model forbids, with AWS's sentence."""
    assert exchange.operation is not None
    checker = validate.operation_checker(exchange.operation)
    if checker is None:
        return
    phrases: list[str] = []
    checker(exchange.input, None, phrases)
    if phrases:
        raise AwsError(code(exchange.service, phrases), validate.sentence(phrases))


def code(service: str, phrases: list[str]) -> str:
    """Return the code of a constraint failure."""
    if service == "s3":  # it has no ValidationException; only its XML documents are nested
        paths = [phrase.partition("' failed ")[0].rpartition(" at '")[2] for phrase in phrases]
        return "MalformedXML" if any("." in path for path in paths) else "InvalidArgument"
    return CODES.get(service, "ValidationException")
