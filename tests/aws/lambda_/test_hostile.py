"""Functions that attack what runs them: they harm no other, leave nothing behind, and cost what they are used for."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.aws.lambda_ import functions
from tests.aws.lambda_.functions import function, invoke
from tests.aws.lambda_.test_invoke import lines, queue_of, received

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site import Site

ENDS = """
import ctypes, os, signal, subprocess, threading
def end(held):
    if held:
        subprocess.Popen(["sleep", "60"])
    os._exit(4)
def handle(event, context):
    if event == "later":
        threading.Timer(0.3, end, [False]).start()
    if event in {"held", "signal"}:
        end(True) if event == "held" else os.kill(os.getpid(), 40)
    if event == "stop":
        os.kill(os.getppid(), signal.SIGSTOP)
    return "well"
"""
RAW = """
import http.client, os
def handle(event, context):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    body = {"text": b"no json \\xff", "deep": b"[" * 100_000}[event]
    api.request("POST", f"/2018-06-01/runtime/invocation/{context.aws_request_id}/response", body)
    api.getresponse().read()
"""


def test_a_process_that_ends_between_events_loses_none(local: Site) -> None:
    name = function(local, ENDS, Timeout=3)
    assert invoke(local, name, "later")[0] == "well"
    time.sleep(1)  # until it has ended: nothing says so
    assert invoke(local, name, "now")[0] == "well"
    for event in ("held", "signal"):
        assert invoke(local, name, event)[0]["errorType"] == "Runtime.ExitError"
        assert invoke(local, name, "now")[0] == "well"


def test_an_environment_that_does_not_answer_is_given_to_nobody(local: Site) -> None:
    name = function(local, ENDS, Timeout=1)
    invoke(local, name, "stop")
    invoke(local, name, "now")
    assert invoke(local, name, "now")[0] == "well"


def test_what_cannot_begin_is_begun_once_for_each_event(local: Site) -> None:
    name = function(local, "print('beginning')\nraise SystemExit(2)")
    for _ in range(2):
        assert invoke(local, name)[0]["errorType"] == "Runtime.ExitError"
    time.sleep(1.5)  # in which it was begun a dozen times more
    assert len([line for line in lines(local, name) if "beginning" in line]) <= 3


def test_what_is_no_json_is_told_as_text_and_asked_for_once(local: Site) -> None:
    name, (url, arn) = function(local, RAW), queue_of(local, "told")
    client = local.client("lambda")
    client.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}})
    for event in ("text", "deep"):
        client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    told = {each["requestPayload"]: each["responsePayload"] for each in received(local, url, 2)}
    assert told == {"text": "no json \ufffd", "deep": "[" * 100_000}
    with pytest.raises(ClientError, match="InvalidRequestContent"):
        client.invoke(FunctionName=name, InvocationType="Event", Payload='"text"'.encode("utf-16"))


def test_a_loop_of_destinations_ends(local: Site) -> None:
    name = function(local, "def handle(event, context): print('again')")
    client = local.client("lambda")
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    client.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}})
    client.invoke(FunctionName=name, InvocationType="Event")
    deadline, seen = time.monotonic() + 60, [-1]
    while seen[-3:].count(seen[-1]) < 3 or seen[-1] < 17:
        assert time.monotonic() < deadline, seen
        time.sleep(1)
        seen.append(len([line for line in lines(local, name) if "again" in line]))
    assert seen[-1] == 17


def test_another_account_may_what_the_policy_of_a_version_says(local: Site, server: Any) -> None:
    client, other = local.client("lambda"), "987654321098"
    name = function(local, "def handle(event, context): return 1")
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    for code in ("first", "second"):
        version = client.publish_version(FunctionName=name, Description=code)["Version"]
    client.create_alias(FunctionName=name, Name="open", FunctionVersion=version)
    grant = {"Action": "lambda:InvokeFunction", "Principal": other}
    client.add_permission(FunctionName=name, Qualifier="open", StatementId="a", **grant)
    foreign = server.client("lambda", other)
    assert foreign.invoke(FunctionName=f"{arn}:open")["StatusCode"] == 200
    assert foreign.invoke(FunctionName=arn, Qualifier="open")["StatusCode"] == 200
    for called in ({"FunctionName": arn}, {"FunctionName": f"{arn}:1"}, {"FunctionName": arn, "Qualifier": "1"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            foreign.invoke(**called)
    client.add_permission(FunctionName=name, StatementId="b", **grant)
    assert foreign.invoke(FunctionName=arn)["StatusCode"] == 200
    with pytest.raises(ClientError, match="AccessDenied"):
        foreign.invoke(FunctionName=f"{arn}:1")
    foreign.close()


def lying(method: int) -> bytes:
    """Return a zip of 300 MB that says that it has 10 bytes."""
    made, size = io.BytesIO(), 300 << 20
    with zipfile.ZipFile(made, "w", method) as packed:
        packed.writestr("big", bytes(size))
    return made.getvalue().replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))


@pytest.fixture(scope="module", params=[zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def bomb(request: pytest.FixtureRequest) -> bytes:
    return lying(request.param)


def test_a_zip_that_lies_takes_no_memory(bomb: bytes, tmp_path: Path) -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(functions.CodeError):
            functions.unpack(bomb, tmp_path / "task", lambda: None)
        assert tracemalloc.get_traced_memory()[1] < 120 << 20
    finally:
        tracemalloc.stop()


def test_a_zip_of_too_many_entries_is_not_looked_at(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("a", b"PK\x01\x02" * 250_001)
    with pytest.raises(functions.CodeError, match="entries"):
        functions.unpack(made.getvalue(), tmp_path / "task", lambda: None)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", ".", "", "a/" * 300 + "b", "x" * 300])
def test_a_zip_leads_nowhere(name: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(functions.CodeError):
        functions.unpack(made.getvalue(), tmp_path / "task", lambda: None)
