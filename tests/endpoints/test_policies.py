"""An endpoint's policy: put, read, replaced, removed, refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.endpoints.served import Served


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_endpoint_has_one_policy_until_it_is_removed(shared: Served) -> None:
    client, name = shared.site.sagemaker, {"EndpointName": shared.name}
    arn, status = (shared.describe()[member] for member in ("EndpointArn", "EndpointStatus"))
    assert refused(lambda: client.get_endpoint_policy(**name))[0] == "ValidationException"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "111122223333"},
        "Action": "sagemaker:InvokeEndpoint",
        "Resource": arn,
    }
    for sid in ("one", "two"):
        text = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Sid": sid}]})
        assert client.put_endpoint_policy(**name, ResourcePolicy=text)["EndpointArn"] == arn
        got = client.get_endpoint_policy(**name)
        assert (got["EndpointName"], got["EndpointArn"], got["ResourcePolicy"]) == (shared.name, arn, text)
    for wrong in ("{", json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}), '{"Id": "é"}'):
        code, message = refused(lambda wrong=wrong: client.put_endpoint_policy(**name, ResourcePolicy=wrong))  # type: ignore[misc]
        assert (code, message.startswith("Invalid resource policy")) == ("ValidationException", True)
    assert client.get_endpoint_policy(**name)["ResourcePolicy"] == text
    for _ in range(2):
        client.delete_endpoint_policy(**name)
    assert refused(lambda: client.get_endpoint_policy(**name))[0] == "ValidationException"
    assert shared.describe()["EndpointStatus"] == status
    for call in (client.get_endpoint_policy, client.delete_endpoint_policy):
        assert refused(lambda call=call: call(EndpointName="none"))[0] == "ResourceNotFound"  # type: ignore[misc]
