"""What a TransformJob's document asks for, with defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.jobs import channels
from backends.transform.processing import Processing, processing_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MB = 1 << 20
DEFAULT_PAYLOAD_MB = 6
MOST_MB = 100
STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


@dataclass(frozen=True)
class Transform:
    """How objects are asked about. Bytes and seconds. `limit` 0: an object goes as a stream."""

    split_type: str
    is_single: bool
    limit: int
    concurrency: int
    assemble_with: str
    is_gzip: bool
    headers: Mapping[str, str]
    processing: Processing
    timeout_s: float
    retries: int


def with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Describe shows of a request."""
    given = {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]}
    output = {"AssembleWith": "None", **request["TransformOutput"]}
    return {**request, "TransformInput": given, "TransformOutput": output}


def transform_of(document: Mapping[str, Any], parameters: Mapping[str, Any]) -> Transform:
    """Read how a job transforms; `parameters` are the container's own, which the request's go before."""
    given, output = document["TransformInput"], document["TransformOutput"]
    strategy = document.get("BatchStrategy") or _named(parameters.get("BatchStrategy")) or "MultiRecord"
    payload_mb = document.get("MaxPayloadInMB", _number(parameters, "MaxPayloadInMB", DEFAULT_PAYLOAD_MB))
    concurrency = document.get("MaxConcurrentTransforms") or _number(parameters, "MaxConcurrentTransforms", 1)
    client = document.get("ModelClientConfig", {})
    headers = {"Content-Type": given.get("ContentType"), "Accept": output.get("Accept")}
    return Transform(
        given["SplitType"],
        strategy == "SingleRecord",
        payload_mb * MB,
        max(1, concurrency),
        output["AssembleWith"],
        given["CompressionType"] == "Gzip",
        {name: value for name, value in headers.items() if value},
        processing_of(document),
        float(client.get("InvocationsTimeoutInSeconds", 600)),
        int(client.get("InvocationsMaxRetries", 3)),
    )


def _named(strategy: Any) -> str:
    return next((name for name, value in STRATEGIES.items() if value == strategy), "")


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    value = parameters.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_MB else default


def variables(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of every container: the service's own, then the request's."""
    own = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in document:
        own["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(document["MaxPayloadInMB"])
    if "BatchStrategy" in document:
        own["SAGEMAKER_BATCH_STRATEGY"] = STRATEGIES[document["BatchStrategy"]]
    if "MaxConcurrentTransforms" in document:
        own["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(document["MaxConcurrentTransforms"])
    return {**own, **document.get("Environment", {})}


def channel_of(document: Mapping[str, Any]) -> channels.Channel:
    """Return the input as a channel, whose objects have paths below it."""
    source = document["TransformInput"]["DataSource"]["S3DataSource"]
    return channels.channel_of({"ChannelName": "transform", "DataSource": {"S3DataSource": source}}, "File")
