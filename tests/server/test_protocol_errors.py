"""Every form of an error, read back by botocore."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_specs import model
from backends.core.errors import AwsError, not_found, validation
from server.protocol import json as aws_json
from server.protocol import protocol_of, query, rest_json, rest_xml
from server.types import HttpRequest
from tests.server.wire import body_of, parsed_by_botocore


def _parsed(service: str, name: str, error: AwsError) -> tuple[int, dict[str, Any]]:
    operation = model.operation(name, service)
    response = protocol_of(operation.service_model).serialize_error(operation.service_model, operation, error, "req-1")
    return response.status, parsed_by_botocore(operation, response)


@pytest.mark.parametrize(
    ("service", "name", "error", "status"),
    [
        ("sagemaker", "DescribeTrainingJob", not_found(), 400),
        ("sagemaker", "CreateModel", validation("1 validation error detected: ..."), 400),
        ("sagemaker", "CreateModel", AwsError("ThrottlingException", "Rate exceeded"), 400),
        ("sagemaker", "CreateModel", AwsError("AccessDeniedException", "no", 403), 403),
        ("sagemaker", "CreateModel", AwsError("NotImplemented", "not yet", 501), 501),
        ("sagemaker-runtime", "InvokeEndpoint", AwsError("ValidationError", "Endpoint x not found."), 400),
        ("sagemaker-runtime", "InvokeEndpoint", AwsError("ModelNotReadyException", "loading"), 429),
        ("sagemaker-runtime", "InvokeEndpoint", AwsError("ServiceUnavailable", "busy"), 503),
        ("sagemaker-runtime", "InvokeEndpoint", AwsError("InternalDependencyException", "no"), 530),
        ("sagemaker-featurestore-runtime", "GetRecord", AwsError("ResourceNotFound", "no group"), 404),
        ("s3", "GetObject", AwsError("NoSuchKey", "The specified key does not exist."), 404),
        ("s3", "GetObject", AwsError("PreconditionFailed", 'a <b> & "c"', 412), 412),
        ("s3", "CreateBucket", AwsError("BucketAlreadyOwnedByYou", "yours"), 409),
        ("sts", "AssumeRole", AwsError("AccessDenied", "User is not authorized", 403), 403),
        ("iam", "GetRole", AwsError("NoSuchEntity", "The role cannot be found."), 404),
        ("logs", "GetLogEvents", AwsError("ResourceNotFoundException", "The specified log group does not exist."), 400),
    ],
)
def test_code_sentence_status_and_request_id(service: str, name: str, error: AwsError, status: int) -> None:
    got_status, parsed = _parsed(service, name, error)
    assert got_status == status
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == (error.code, error.message)
    assert parsed["ResponseMetadata"]["RequestId"] == "req-1"


def test_every_modelled_error_keeps_its_code_and_status() -> None:
    for service in (*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs", "cloudwatch"):
        loaded = model.load_service(service)
        for shape in loaded.error_shapes:
            error = AwsError(shape.name, "why")
            operation = next(
                model.operation(name, service) for name in model.operations(service)
                if loaded.metadata["protocol"] != "rest-xml" or model.operation(name, service).http["method"] != "HEAD"
            )  # fmt: skip
            response = protocol_of(loaded).serialize_error(loaded, operation, error, "r")
            modelled = shape.metadata.get("error", {}).get("httpStatusCode")
            assert response.status == (modelled or (500 if shape.metadata.get("fault") else 400))
            if response.status < 500 or body_of(response):
                assert parsed_by_botocore(operation, response)["Error"]["Code"] in {shape.error_code, shape.name}


def test_the_members_of_a_model_error_arrive() -> None:
    error = AwsError(
        "ModelError",
        "Received server error (500)",
        members={"OriginalStatusCode": 500, "OriginalMessage": "boom", "LogStreamArn": "arn"},
    )
    operation = model.operation("InvokeEndpoint", "sagemaker-runtime")
    response = rest_json.serialize_error(operation.service_model, operation, error, "r")
    shape = operation.service_model.shape_for("ModelError")
    assert response.status == 424
    assert ("x-amzn-ErrorType", "ModelError") in response.headers
    parsed = parsed_by_botocore(operation, response, shape)
    assert parsed == {
        "Message": error.message,
        "OriginalStatusCode": 500,
        "OriginalMessage": "boom",
        "LogStreamArn": "arn",
    }


def test_sagemaker_spells_message_as_its_model_does() -> None:
    service = model.load_service("sagemaker")
    modelled = json.loads(body_of(aws_json.serialize_error(service, None, not_found("gone"), "r")))
    assert modelled == {"__type": "ResourceNotFound", "Message": "gone"}
    framework = json.loads(body_of(aws_json.serialize_error(service, None, validation("bad"), "r")))
    assert framework == {"__type": "ValidationException", "message": "bad"}
    unknown = json.loads(body_of(aws_json.serialize_error(service, None, AwsError("UnknownOperationException"), "r")))
    assert unknown == {"__type": "UnknownOperationException"}


def test_s3_errors_have_no_body_for_head_and_304() -> None:
    head = model.operation("HeadBucket", "s3")
    missing = rest_xml.serialize_error(head.service_model, head, AwsError("NoSuchBucket", "no", 404), "r")
    assert (missing.status, missing.body) == (404, b"")
    parsed = parsed_by_botocore(head, missing)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("404", "Not Found")
    get = model.operation("GetObject", "s3")
    unchanged = rest_xml.serialize_error(get.service_model, get, AwsError("NotModified", "", 304), "r")
    assert (unchanged.status, unchanged.body) == (304, b"")


def test_s3_errors_name_the_resource() -> None:
    operation = model.operation("GetObject", "s3")
    error = AwsError("NoSuchKey", "no", members={"Key": "a<b", "Resource": "/b/a<b"})
    parsed = parsed_by_botocore(operation, rest_xml.serialize_error(operation.service_model, operation, error, "r"))
    assert (parsed["Error"]["Key"], parsed["Error"]["Resource"]) == ("a<b", "/b/a<b")


def test_query_errors_say_whose_fault_it_is() -> None:
    service = model.load_service("iam")
    ours = body_of(query.serialize_error(service, None, AwsError("ServiceFailure", "x"), "r"))
    theirs = body_of(query.serialize_error(service, None, AwsError("NoSuchEntityException", "x"), "r"))
    assert b"<Type>Receiver</Type>" in ours
    assert b"<Type>Sender</Type><Code>NoSuchEntity</Code>" in theirs


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "Unable to parse the request: it is not a JSON document in UTF-8."),
        (b'{"ModelName": "\xff"}', "Unable to parse the request: it is not a JSON document in UTF-8."),
        (b"[]", "Start of list found where not expected"),
        (b'"x"', "Unexpected value type in payload"),
        (b'{"ModelName": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"ModelName": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"ModelName": {}}', "Start of structure or map found where not expected."),
        (b'{"Tags": {}}', "Start of structure or map found where not expected."),
        (b'{"Tags": "x"}', "Expected list or null"),
        (b'{"EnableNetworkIsolation": "yes"}', "STRING_VALUE can not be converted to a Boolean"),
        (b'{"PrimaryContainer": []}', "Start of list found where not expected"),
        (b'{"a": ' * 300 + b"1" + b"}" * 300, "The request is nested too deeply."),
    ],
)
def test_what_cannot_be_read_is_refused_in_awss_words(body: bytes, sentence: str) -> None:
    with pytest.raises(AwsError) as caught:
        aws_json.parse(model.operation("CreateModel"), HttpRequest("POST", "/", b"/", b"", {}, body))
    assert (caught.value.code, caught.value.message, caught.value.status) == ("SerializationException", sentence, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"<a",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><Delete>&b;</Delete>",
        b"\xff\xfe",
        b"<Delete><Quiet>maybe</Quiet></Delete>",
    ],
)
def test_bad_xml_is_malformed_xml(body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        rest_xml.parse(model.operation("DeleteObjects", "s3"), HttpRequest("POST", "/b", b"/b", b"delete", {}, body))
    assert (caught.value.code, caught.value.status) == ("MalformedXML", 400)


def test_nulls_and_unknown_members_are_absent() -> None:
    body = b'{"ModelName": "m", "Nonsense": 1, "PrimaryContainer": null, "Tags": [null, {"Key": "k", "Value": null}]}'
    request = HttpRequest("POST", "/", b"/", b"", {}, body)
    assert aws_json.parse(model.operation("CreateModel"), request) == {"ModelName": "m", "Tags": [{"Key": "k"}]}


def test_numbers_keep_to_their_type() -> None:
    operation = model.operation("ListModels")

    def read(value: str) -> Any:
        return aws_json.parse(
            operation, HttpRequest("POST", "/", b"/", b"", {}, b'{"MaxResults": %s}' % value.encode())
        )

    assert read("5.0") == {"MaxResults": 5}
    for wrong in ("5.5", "2147483648", "1e400", "99999999999999999999999", '"5"'):
        with pytest.raises(AwsError):
            read(wrong)


def test_a_stored_document_goes_out_as_it_is() -> None:
    response = aws_json.serialize(model.operation("DescribeModel"), b'{"ModelName":"m"}', "r")
    assert (response.status, response.body) == (200, b'{"ModelName":"m"}')
    assert response.headers == [("x-amzn-RequestId", "r"), ("Content-Type", "application/x-amz-json-1.1")]


def test_floats_that_json_cannot_hold_are_spelled() -> None:
    shape = {"FinalMetricDataList": [{"MetricName": "m", "Value": float("nan"), "Timestamp": 1.5}]}
    body = json.loads(body_of(aws_json.serialize(model.operation("DescribeTrainingJob"), shape, "r")))
    assert body["FinalMetricDataList"] == [{"MetricName": "m", "Value": "NaN", "Timestamp": 1.5}]


def test_a_header_never_breaks_its_line() -> None:
    operation = model.operation("InvokeEndpoint", "sagemaker-runtime")
    response = rest_json.serialize(operation, {"Body": b"x", "CustomAttributes": "a\r\nSet-Cookie: b"}, "r")
    assert ("X-Amzn-SageMaker-Custom-Attributes", "a  Set-Cookie: b") in response.headers
