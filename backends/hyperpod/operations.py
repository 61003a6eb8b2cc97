"""Cluster and what belongs to one: what they answer until their engine is there."""

from __future__ import annotations

from backends.core.resource import resource

ENGINE = "HyperPod clusters"

CLUSTER = resource(
    "Cluster",
    arn_path="cluster",
    awaits=ENGINE,
)
EXTENSION = resource("ClusterExtension", arn_path="cluster-extension", awaits=ENGINE)
SCHEDULER_CONFIG = resource("ClusterSchedulerConfig", arn_path="cluster-scheduler-config", awaits=ENGINE)
COMPUTE_QUOTA = resource("ComputeQuota", arn_path="compute-quota", awaits=ENGINE)
