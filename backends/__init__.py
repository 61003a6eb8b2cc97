"""The components. COMPONENTS is the only place where a new one is announced."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

# Names, not imports: `import backends.core` must not drag every component in.
COMPONENTS = (
    "backends.core.parents",
    "backends.core.search.operations",
    "backends.core.tag_operations",
    "backends.core.work",
    "backends.jobs.queue",
    "backends.models.operations",
    "backends.registry.groups",
    "backends.registry.operations",
    "backends.training.operations",
    "backends.training.engine",
    "backends.processing.operations",
    "backends.processing.engine",
    "backends.endpoints.operations",
    "backends.endpoints.engine",
    "backends.endpoints.invoke",
    "backends.endpoints.asynchronous",
    "backends.notebooks.operations",
    "backends.transform.operations",
    "backends.tuning.operations",
    "backends.autopilot.operations",
    "backends.inference_experiments.operations",
    "backends.recommender.operations",
    "backends.customization.operations",
    "backends.mlflow.operations",
    "backends.hyperpod.operations",
    "backends.training_plans.operations",
    "backends.partner_apps.operations",
    "backends.experiments.components",
    "backends.experiments.operations",
    "backends.lineage.associations",
    "backends.lineage.operations",
    "backends.aws.sts",
    "backends.aws.iam.access_keys",
    "backends.aws.iam.account",
    "backends.aws.iam.attached",
    "backends.aws.iam.calls",
    "backends.aws.iam.details",
    "backends.aws.iam.managed",
    "backends.aws.iam.profiles",
    "backends.aws.iam.roles",
    "backends.aws.iam.simulate",
    "backends.aws.iam.tagging",
    "backends.aws.iam.users",
    "backends.aws.logs.events",
    "backends.aws.logs.filters",
    "backends.aws.logs.follow",
    "backends.aws.logs.groups",
    "backends.aws.logs.streams",
    "backends.aws.ecr.configuration",
    "backends.aws.ecr.image_operations",
    "backends.aws.ecr.layer_operations",
    "backends.aws.ecr.lifecycle",
    "backends.aws.ecr.repositories",
    "backends.aws.ecr.sweep",
    "backends.aws.cloudwatch.alarm_reads",
    "backends.aws.cloudwatch.alarms",
    "backends.aws.cloudwatch.dashboards",
    "backends.aws.cloudwatch.metrics",
    "backends.aws.cloudwatch.reads",
    "backends.aws.cloudwatch.watch",
    "backends.aws.s3.attributes",
    "backends.aws.s3.buckets",
    "backends.aws.s3.configuration",
    "backends.aws.s3.copies",
    "backends.aws.s3.cors",
    "backends.aws.s3.lifecycle",
    "backends.aws.s3.listings",
    "backends.aws.s3.multipart",
    "backends.aws.s3.multipart_listings",
    "backends.aws.s3.notifications",
    "backends.aws.s3.objects",
    "backends.aws.s3.policies",
    "backends.aws.s3.sweep",
    "backends.aws.s3.tags",
    "backends.aws.s3.versions",
    "backends.aws.moto.adapter",
)


def load_components() -> tuple[ModuleType, ...]:
    """Import every module that declares operations, resources, listeners or loops."""
    return tuple(import_module(name) for name in COMPONENTS)
