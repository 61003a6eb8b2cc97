"""20,000 broken requests: no traceback, no 5xx but 501, and always AWS's error in the service's own protocol."""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from api_specs import model
from tests.server.in_process import InProcessClient, signed, with_gateway
from tests.server.mutate import mutate
from tests.server.shapes import Wire, values
from tests.server.wire import request_from_botocore

if TYPE_CHECKING:
    from pathlib import Path

    from server.types import HttpRequest

SERVICES = (*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs", "cloudwatch", "events", "scheduler")
REQUESTS = int(os.environ.get("LOCALMAKER_TEST_FUZZ", "20000"))
SIGNED_AS = {
    "s3": "s3",
    "sts": "sts",
    "iam": "iam",
    "logs": "logs",
    "cloudwatch": "monitoring",
    "events": "events",
    "scheduler": "scheduler",
    "sagemaker-geospatial": "sagemaker-geospatial",
}
MODELLED_5XX = {"InternalDependencyException", "ServiceUnavailable", "ServiceUnavailableException"}


def valid_requests(service: str, name: str) -> list[HttpRequest]:
    operation = model.operation(name, service)
    if operation.input_shape is None:
        return []
    requests: list[HttpRequest] = []

    @settings(
        max_examples=2, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(values(operation.input_shape, Wire(operation.metadata["protocol"], response=False)))
    def collect(sent: dict[str, object]) -> None:
        requests.append(request_from_botocore(operation, sent))

    collect()
    headers = signed(SIGNED_AS.get(service, "sagemaker"))
    return [replace(request, headers={**request.headers, **headers}) for request in requests]


@pytest.mark.slow
def test_broken_requests_get_awss_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = random.Random(20261123)
    pool = [
        (service, name, request)
        for service in SERVICES
        for name in model.operations(service)
        for request in valid_requests(service, name)
    ]
    statuses: Counter[int] = Counter()

    async def work(client: InProcessClient) -> None:
        for _ in range(REQUESTS):
            service, name, request = source.choice(pool)
            broken = mutate(request, source)
            answer = await client.send(broken)
            statuses[answer.status] += 1
            assert isinstance(answer.body, bytes)
            text = answer.body[:400]
            assert answer.status < 500 or answer.status == 501 or any(e.encode() in text for e in MODELLED_5XX), (
                service, name, broken, answer,
            )  # fmt: skip
            assert b"<html" not in text.lower(), (service, name, broken, answer)

    with caplog.at_level(logging.ERROR):
        with_gateway(tmp_path / "data", work)
    tracebacks = [record for record in caplog.records if record.exc_info and record.name.startswith("server")]
    assert not tracebacks, tracebacks[0].getMessage()
    assert statuses[400] > REQUESTS / 10
    assert sum(statuses.values()) == REQUESTS
