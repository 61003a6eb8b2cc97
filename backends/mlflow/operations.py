"""MlflowTrackingServer and MlflowApp: what they answer until their engine is there."""

from __future__ import annotations

from backends.core.resource import resource

ENGINE = "MLflow"

TRACKING_SERVER = resource(
    "MlflowTrackingServer",
    arn_path="mlflow-tracking-server",
    lower_arn=False,
    awaits=ENGINE,
)
APP = resource(
    "MlflowApp",
    arn_path="mlflow-app",
    lower_arn=False,
    awaits=ENGINE,
)
