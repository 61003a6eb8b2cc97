"""What a step costs the server: 200 Model steps, 20 at a time, in one execution. And a warm Lambda function against Flask."""

from __future__ import annotations

import io
import json
import statistics
import time
import zipfile
from typing import TYPE_CHECKING, Any

from bench.invoke import ACCOUNT, client, flask_container
from bench.peers import ours
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers import Peer

STEPS, WIDE, ROUNDS = 200, 20, 3
GOAL_MS = 15.0
INVOCATIONS, WARM_GOAL_MS = 300, 2.0
HANDLER = "def handle(event, context):\n    return {'predictions': [[0.0]]}\n"


def definition(role: str) -> str:
    """Return ten layers of 20 Model steps, each of which waits for one of the layer before."""
    arguments = {"PrimaryContainer": {"Image": "localmaker/inference"}, "ExecutionRoleArn": role}
    steps = [
        {
            "Name": f"M{number}",
            "Type": "Model",
            "Arguments": arguments,
            "DependsOn": [f"M{number - WIDE}"] if number >= WIDE else [],
        }
        for number in range(STEPS)
    ]
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


def executed(peer: Peer) -> tuple[float, float]:
    """Execute once; return the server's CPU ms per step, and the seconds from Start to Succeeded."""
    sagemaker = client(peer, "sagemaker")
    before, began = peer.cpu_s(), time.perf_counter()
    arn = sagemaker.start_pipeline_execution(PipelineName="wide")["PipelineExecutionArn"]
    while (
        status := sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
    ) == "Executing":
        time.sleep(0.1)
    assert status == "Succeeded"
    took_s = time.perf_counter() - began
    time.sleep(1.0)  # what follows the end is counted too
    return (peer.cpu_s() - before) / STEPS * 1000, took_s


def pipeline() -> Table:
    """Measure steps that are made at once."""
    table = Table(f"a pipeline of {STEPS} Model steps, {WIDE} at a time", "limit")
    with ours() as peer:
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        client(peer, "sagemaker").create_pipeline(
            PipelineName="wide", PipelineDefinition=definition(role), RoleArn=role
        )
        rounds = [executed(peer) for _ in range(ROUNDS)]
    table.row("server CPU per step, ms", None, statistics.median(cpu for cpu, _ in rounds), at_most=GOAL_MS)
    table.row("Start to Succeeded, s", None, statistics.median(took_s for _, took_s in rounds))
    return table


def p50_ms(call: Callable[[], Any]) -> float:
    """Return the median of many calls, one after another, once warm."""
    for _ in range(20):
        call()
    times = []
    for _ in range(INVOCATIONS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def function() -> Table:
    """Measure a warm function through boto3, beside Flask + gunicorn asked by the same kind of client."""
    import urllib3

    table = Table("a warm Lambda function, p50 at c=1 (ms)", "Flask + gunicorn")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("app.py", HANDLER)
    with ours(LOCALMAKER_RUNNER="process") as peer, flask_container() as flask:
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        lambda_ = client(peer, "lambda")
        lambda_.create_function(
            FunctionName="warm",
            Runtime="python3.12",
            Role=role,
            Handler="app.handle",
            Code={"ZipFile": packed.getvalue()},
        )
        assert lambda_.invoke(FunctionName="warm", Payload=b"{}")["Payload"].read() == b'{"predictions": [[0.0]]}'
        pool = urllib3.PoolManager()
        body = json.dumps({"instances": [[0.0] * 20]}).encode()
        peer_ms = p50_ms(lambda: pool.request("POST", f"{flask.url}/invocations", body=body).data)
        own_ms = p50_ms(lambda: json.load(lambda_.invoke(FunctionName="warm", Payload=b"{}")["Payload"]))
        address, headers = f"{peer.url}/2015-03-31/functions/warm/invocations", signed()
        answer = pool.request("POST", address, body=b"{}", headers=headers)
        assert answer.data == b'{"predictions": [[0.0]]}', answer.data
        simple_ms = p50_ms(lambda: pool.request("POST", address, body=b"{}", headers=headers).data)
    table.row("asked by boto3 (which costs about 1 ms itself)", peer_ms, own_ms, less=True)
    table.row("asked by the same plain client", peer_ms, simple_ms, less=True, at_most=peer_ms + WARM_GOAL_MS)
    return table


def signed() -> dict[str, str]:
    """Return headers that name the service, as a signature does."""
    scope = f"Credential={ACCOUNT}/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
    return {"Authorization": f"AWS4-HMAC-SHA256 {scope}"}


def run() -> list[Table]:
    """Measure both."""
    return [pipeline(), function()]
