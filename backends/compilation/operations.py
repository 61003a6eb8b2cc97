"""CompilationJob's Create: what the model cannot check. Describe, List, Stop and Delete are derived."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

from backends.compilation.status import COMPILATION_JOB
from backends.core import errors
from backends.core.objects import parse_uri
from backends.core.operation import operation
from backends.jobs import artifacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

IMAGES = {
    "XGBOOST": "localmaker/xgboost",
    "SKLEARN": "localmaker/scikit_learn",
    "PYTORCH": "localmaker/pytorch",
    "ONNX": "localmaker/xgboost",  # the leanest recipe that has onnx's checker
}
"""Framework -> the recipe that converts its models."""
X86, ARM = "X86_64", "ARM64"
DEVICES = {X86: {"ml_m4", "ml_m5", "ml_c4", "ml_c5", "lambda"}, ARM: {"ml_m6g", "ml_c6g"}}
"""The targets whose CPU has an architecture; ml_* but accelerators'."""
INFERENCE_IMAGE = "localmaker/inference"
ENDING = ".tar.gz"
DEFAULT_MAX_RUNTIME_S = 86400


@operation("CreateCompilationJob")
def create_compilation_job(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Accept a compilation job as STARTING; it runs from the event this writes.

    ValidationException for what cannot work (no bucket, both targets), ResourceInUse for a taken name. What is wrong with
    the artifact fails the job.
    """
    COMPILATION_JOB.check_free(cx, request["CompilationJobName"])
    source, output = _source(cx, request), request["OutputConfig"]
    if source["Framework"] not in IMAGES:
        raise errors.not_implemented(f"compilation of {source['Framework']} models")
    target = _target(output)
    _check_options(output.get("CompilerOptions"))
    _, key = parse_uri(source["S3Uri"])
    if not key.endswith(ENDING):  # shape InputConfig; Unverified, as below: AWS's wording
        raise errors.validation(f"InputConfig.S3Uri must be a single gzip compressed tar archive (.tar.gz): {key!r}.")
    name = key.rpartition("/")[2].removesuffix(ENDING)
    uri = f"{output['S3OutputLocation'].rstrip('/')}/{name}-{target}{ENDING}"
    artifacts.check_may_store(cx, request["RoleArn"], uri, "OutputConfig")
    stopping = {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **request["StoppingCondition"]}
    document = {
        **request,
        "InputConfig": source,
        "StoppingCondition": stopping,
        "FailureReason": "",  # the model requires both, whatever has become of the job
        "ModelArtifacts": {"S3ModelArtifacts": uri},
    }
    row = COMPILATION_JOB.insert(
        cx, request["CompilationJobName"], document, status="STARTING", tag_list=request.get("Tags")
    )
    return {"CompilationJobArn": row.arn}


def _source(cx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InputConfig: the request's, or what the model package says. API reference: never both."""
    if ("InputConfig" in request) == ("ModelPackageVersionArn" in request):
        raise errors.validation("Exactly one of InputConfig and ModelPackageVersionArn must be given.")
    if "InputConfig" in request:
        return dict(request["InputConfig"])
    package = cx.call("DescribeModelPackage", {"ModelPackageName": request["ModelPackageVersionArn"]})
    container = package.get("InferenceSpecification", {}).get("Containers", [{}])[0]
    data = container.get("ModelDataUrl") or container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
    if not data or "Framework" not in container:
        raise errors.validation("The model package's first container must have model data and a Framework.")
    shapes = {k: v for k, v in container.get("ModelInput", {}).items() if k == "DataInputConfig"}
    return {"S3Uri": data, "Framework": container["Framework"].upper(), **shapes}


def _target(output: Mapping[str, Any]) -> str:
    """Return the target's name in the artifact's; 501 for what is no CPU as this machine's."""
    if ("TargetDevice" in output) == ("TargetPlatform" in output):
        raise errors.validation("Exactly one of TargetDevice and TargetPlatform must be given.")
    own = ARM if platform.machine().lower() in {"aarch64", "arm64"} else X86
    if "TargetDevice" in output:
        if output["TargetDevice"] not in DEVICES[own]:
            raise errors.not_implemented(f"compilation for TargetDevice {output['TargetDevice']}")
        return str(output["TargetDevice"])
    wanted = output["TargetPlatform"]
    if wanted != {"Os": "LINUX", "Arch": own}:
        raise errors.not_implemented(f"compilation for TargetPlatform {'_'.join(wanted.values())}")
    return f"LINUX_{own}"


def _check_options(text: str | None) -> None:
    try:
        is_good = isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        is_good = False
    if not is_good:
        raise errors.validation("CompilerOptions must be a JSON dictionary.")
