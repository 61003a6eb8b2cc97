"""InvokeEndpoint of a small ONNX model, through the real server: against the bare session, Flask, and no server between."""

from __future__ import annotations

import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
from botocore.config import Config

from bench import load, mlp
from bench.peers import Peer, free_port, ours, running
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 1.0
ROUNDS = 4
ACCOUNT = "123456789012"
FLASK = ("flask==3.1.3", "gunicorn==27.0.1", "gevent==26.9.0", "onnxruntime==1.32.0", "numpy==2.4.6")
SCOPE = (
    f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261123/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
)
HEADERS = {"Content-Type": "application/json", "Authorization": SCOPE}


def client(peer: Peer, service: str) -> Any:
    """Return a boto3 client of one of our servers."""
    return boto3.client(
        service, endpoint_url=peer.url, region_name="us-east-1", aws_access_key_id=ACCOUNT,
        aws_secret_access_key="secret", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def deploy(peer: Peer) -> Peer:
    """Make an endpoint `mlp`, ask it once, and give its container as a peer of its own, to be asked directly."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("model.onnx")
        entry.size = len(mlp.model())
        archive.addfile(entry, io.BytesIO(mlp.model()))
    s3, sagemaker = client(peer, "s3"), client(peer, "sagemaker")
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="model.tar.gz", Body=packed.getvalue())
    container = {"Image": "localmaker/inference", "ModelDataUrl": "s3://bench/model.tar.gz"}
    role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
    sagemaker.create_model(ModelName="mlp", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": "mlp", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="mlp", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="mlp", EndpointConfigName="mlp")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="mlp")
    answer = client(peer, "sagemaker-runtime").invoke_endpoint(
        EndpointName="mlp", Body=mlp.question(), ContentType="application/json"
    )
    print(f"  the endpoint answers {answer['Body'].read().decode()}", flush=True)
    process, address = container_of(peer)
    return Peer("container", f"http://{address}", process, 0.0)


def container_of(peer: Peer) -> tuple[psutil.Process, str]:
    """Find the process that serves the endpoint of a server, and its address."""
    port = peer.url.rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        if "containers.inference" not in (process.info["cmdline"] or ()) or process.info["cmdline"][0].endswith(
            "bwrap"
        ):
            continue
        environment = process.environ()
        if environment.get("AWS_ENDPOINT_URL", "").endswith(f":{port}"):
            return process, f"{environment['LOCALMAKER_BIND_TO_HOST']}:{environment['SAGEMAKER_BIND_TO_PORT']}"
    raise LookupError("no process serves the endpoint")


@contextmanager
def flask_container() -> Iterator[Peer]:
    """Run the Flask container's server, in an environment that is made once and kept."""
    home = Path.home() / ".cache" / "localmaker" / "bench" / "flask"
    if not (home / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", *FLASK], check=True)
        (home / "installed").touch()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(mlp.model())
        gunicorn = [str(home / "bin" / "gunicorn"), "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}"]
        given = {"BENCH_MODEL": str(model)}
        here = str(Path(__file__).parent)
        with running("flask", [*gunicorn, "flask_app:app"], port, "/ping", given, cwd=here) as peer:
            yield peer


def raw_p50_ms() -> float:
    """Time the session alone, one row, one thread."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(mlp.model(), options)
    rows = np.array([mlp.row()], np.float32)
    times = []
    for _ in range(2000):
        began = time.perf_counter()
        session.run(None, {"x": rows})
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def measure(peers: list[tuple[Peer, bytes]], connections: int) -> list[tuple[float, float, float]]:
    """Return, for each, the best p50 in ms and the best rate of some rounds by turns, and the least CPU µs for one."""
    measured: list[list[tuple[float, float, float]]] = []
    for _ in range(ROUNDS):
        turn = []
        for peer, request in peers:
            before = peer.cpu_s()
            figures = load.run(peer.url, lambda _, request=request: request, connections, SECONDS)  # type: ignore[misc]
            assert figures.errors == 0, (peer.name, figures)
            turn.append((figures.p50_ms, figures.rate, (peer.cpu_s() - before) / figures.count * 1e6))
        measured.append(turn)
    return [
        (min(p50 for p50, _, _ in rounds), max(rate for _, rate, _ in rounds), min(cpu for _, _, cpu in rounds))
        for rounds in zip(*measured, strict=True)
    ]


def run() -> list[Table]:
    """Measure all in turn, in one run."""
    direct = load.request_bytes("POST", "/invocations", HEADERS, mlp.question())
    through = load.request_bytes("POST", "/endpoints/mlp/invocations", HEADERS, mlp.question())
    with ExitStack() as stack:
        localmaker = stack.enter_context(ours())
        container = deploy(localmaker)
        flask = stack.enter_context(flask_container())
        stack.callback(lambda: client(localmaker, "sagemaker").delete_endpoint(EndpointName="mlp"))
        requested = [(flask, direct), (localmaker, through), (container, direct)]
        one, many = measure(requested, 1), measure(requested, 16)
        memory = flask.pss_mib(), container.pss_mib()
    raw = raw_p50_ms()
    table = Table("InvokeEndpoint, MLP 20-64-64-1, against Flask + gunicorn gevent (asked directly)", "Flask")
    table.row("p50, c=1, ms", one[0][0], one[1][0], less=True, at_least=1.5)
    table.row("requests/s, c=16", many[0][1], many[1][1], at_least=3)
    table.row("model server's CPU µs each, c=16", many[0][2], many[2][2], less=True)
    table.row("model server's PSS, MiB", *memory, less=True)
    limits = Table("InvokeEndpoint against what is below it", "below")
    limits.row("p50, c=1, ms, against session.run alone", raw, one[1][0], less=True, at_most=raw + 0.25)
    limits.row(
        "p50, c=1, ms, against asking the container directly", one[2][0], one[1][0], less=True, at_most=one[2][0] + 0.3
    )
    limits.row("requests/s, c=16, against asking the container directly", many[2][1], many[1][1])
    limits.row("server's CPU µs each, c=16", None, many[1][2])
    return [table, limits]
