"""A customer's own image, built here, trains and serves on Docker; without Docker its job says why it cannot."""

from __future__ import annotations

import os
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.endpoints.served import Served, variant
from tests.engine import LOCAL_BASE, docker_reason, has_image
from tests.site import Site, channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = os.environ.get("LOCALMAKER_BASE_IMAGE", LOCAL_BASE)
DOCKERFILE = """
FROM {base}
ENV GREETING=from-the-image
COPY program.py /program.py
RUN useradd -u 4321 somebody || true
ENTRYPOINT ["python3", "-u", "/program.py"]
"""
PROGRAM = """
import http.server, json, os, pathlib, sys
ML = pathlib.Path("/opt/ml")
def train():
    values = [float(x) for x in (ML / "input/data/train/numbers.txt").read_text().split()]
    factor = float(json.loads((ML / "input/config/hyperparameters.json").read_text())["factor"])
    (ML / "model/weights.json").write_text(json.dumps({"mean": factor * sum(values) / len(values)}))
    print(os.environ["GREETING"], os.getuid())
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mean = json.loads((ML / "model/weights.json").read_text())["mean"]
        self.answer(str(mean + float(body)).encode())
if sys.argv[1] == "train":
    train()
else:
    http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build the image; it is removed in the end."""
    if docker_reason() or not has_image(BASE):
        pytest.skip(docker_reason() or f"the engine has no {BASE} to build from")
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=BASE))
    (folder / "program.py").write_text(PROGRAM)
    name = f"customer-{uuid.uuid4().hex[:8]}:1"
    subprocess.run(["docker", "build", "-q", "-t", name, str(folder)], check=True, capture_output=True, timeout=120)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True, timeout=60)


@pytest.fixture
def docker_site(image: str, account: str, tmp_path: Path) -> Iterator[Site]:
    """Yield an account on a server that may use Docker (LOCALMAKER_RUNNER=auto)."""
    assert image
    live = LiveServer(tmp_path / "data", {"runner": "auto"})
    live.start()
    site = Site(live, account, "docker")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


@pytest.mark.docker
def test_a_customers_image_trains_and_serves(docker_site: Site, image: str) -> None:
    site = docker_site
    data = site.upload({"numbers.txt": "1 2 3 6"})
    request = site.request(
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        InputDataConfig=[channel("train", data)],
        HyperParameters={"factor": "10"},
    )
    site.sagemaker.create_training_job(**request)
    job = site.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job, site.lines(request["TrainingJobName"]))
    assert site.artifact(job) == {"weights.json": b'{"mean": 30.0}'}
    assert "from-the-image 0" in site.lines(request["TrainingJobName"])
    served = Served(site)
    container = {"Image": image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    served.deploy(served.config(variant(served.model(container))))
    assert served.invoke("12") == "42.0"
    served.delete()


def test_without_docker_the_job_says_that_only_docker_can(local: Site) -> None:
    request = local.request(
        AlgorithmSpecification={"TrainingImage": "customer/own:1", "TrainingInputMode": "File"},
    )
    local.sagemaker.create_training_job(**request)
    job = local.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert "The image customer/own:1 can only run in Docker" in job["FailureReason"]


def test_without_docker_the_endpoint_says_so_too(local: Site) -> None:
    served = Served(local)
    config = served.config(variant(served.model({"Image": "customer/own:1"})))
    local.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    assert "can only run in Docker" in served.settled("Failed")["FailureReason"]
    served.delete()
