"""Models for the tests of endpoints: small scripts behind the scikit-learn recipe's server, and ways to deploy them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.site import SCIKIT_LEARN, packed

if TYPE_CHECKING:
    from tests.site import Site

# It answers with what it was told to be (WHO, SUFFIX), and does what the body asks for.
SCRIPT = """
import json, os, time
def model_fn(directory):
    print("model loaded by", os.environ.get("WHO"), flush=True)
    return open(os.path.join(directory, "name")).read()
def transform_fn(model, body, content_type, accept):
    text = body.decode() if isinstance(body, bytes) else body
    if text.startswith("sleep "):
        time.sleep(float(text.split()[1]))
    if text == "crash":
        os._exit(3)
    if text == "raise":
        raise ValueError("this model raises")
    if text == "stream":
        return (f"part {n};".encode() for n in range(5)), "text/plain"
    if text == "large":
        return "x" * 5_000_000, "text/plain"
    return f"{text}|{model}|{os.environ.get('WHO', '')}", "text/plain"
"""
WAIT_S = 90.0


@dataclass
class Served:
    """Deploys on a site."""

    site: Site
    name: str = field(default_factory=lambda: f"endpoint-{uuid.uuid4().hex[:8]}")

    def container(self, who: str, script: str = SCRIPT, **members: Any) -> dict[str, Any]:
        """Return a ContainerDefinition that serves a script."""
        uri = self.site.upload({"model.tar.gz": packed({"name": who, "code/inference.py": script})})
        return {
            "Image": SCIKIT_LEARN,
            "ModelDataUrl": f"{uri}model.tar.gz",
            "Environment": {"WHO": who, "SAGEMAKER_PROGRAM": "inference.py"},
            **members,
        }

    def model(self, *containers: dict[str, Any], **members: Any) -> str:
        """Create a model of one container, or of several in a row; give its name."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        made = {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": list(containers)}
        self.site.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.site.role, **made, **members)
        return name

    def config(self, *variants: dict[str, Any], **members: Any) -> str:
        """Create an endpoint configuration; give its name."""
        name = f"config-{uuid.uuid4().hex[:8]}"
        self.site.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants), **members
        )
        return name

    def deploy(self, config: str) -> dict[str, Any]:
        """Create the endpoint and wait until it is in service; give its description."""
        self.site.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=config)
        return self.settled("InService")

    def settled(self, status: str) -> dict[str, Any]:
        """Wait until the endpoint is neither being created nor updated; give its description, which must say `status`."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            description: dict[str, Any] = self.describe()
            if description["EndpointStatus"] not in {"Creating", "Updating"}:
                assert description["EndpointStatus"] == status, (description.get("FailureReason"), self.lines())
                return description
            time.sleep(0.05)
        raise AssertionError(f"not settled: {self.lines()}")

    def describe(self) -> dict[str, Any]:
        """Describe the endpoint."""
        description: dict[str, Any] = self.site.sagemaker.describe_endpoint(EndpointName=self.name)
        return description

    def invoke(self, body: str | bytes, **members: Any) -> str:
        """Invoke the endpoint; give the answer's text."""
        request = {"ContentType": "text/plain", "Accept": "text/plain", **members}
        answer = self.site.runtime.invoke_endpoint(EndpointName=self.name, Body=body, **request)
        text: str = answer["Body"].read().decode()
        return text

    def lines(self, stream: str = "") -> list[str]:
        """Return what the endpoint's containers have printed."""
        group = f"/aws/sagemaker/Endpoints/{self.name}"
        logs = self.site.client("logs")
        return [
            event["message"]
            for name in self.site.streams(stream, group)
            for event in logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        ]

    def delete(self) -> None:
        """Delete the endpoint and wait until it is gone."""
        self.site.sagemaker.delete_endpoint(EndpointName=self.name)
        self.site.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=self.name)


def variant(model: str, name: str = "AllTraffic", **members: Any) -> dict[str, Any]:
    """Return a production variant."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **members,
    }
