"""Lifecycle configurations and code repositories; notebook instances answer that there are none until their engine is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from typing import Any

    from backends.core.context import Context

INSTANCE = resource(
    "NotebookInstance",
    arn_path="notebook-instance",
    awaits="notebook instances",
)
LIFECYCLE_CONFIG = resource(
    "NotebookInstanceLifecycleConfig",
    arn_path="notebook-instance-lifecycle-config",
    exists="Unable to create Notebook Instance Lifecycle Config '{arn}'. "
    "(Details: Notebook Instance Lifecycle Config already exists.)",
    derives=("Create", "Describe", "Update", "List", "Delete"),
)
REPOSITORY = resource(
    "CodeRepository",
    arn_path="code-repository",
    exists="Cannot create already existing code repository ({arn}).",  # Unverified
    derives=("Create", "Describe", "List", "Delete"),
)


@operation("UpdateCodeRepository")
def update_code_repository(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Change a repository's secret; its address and branch stay. ValidationException for none."""
    row = REPOSITORY.named(cx, request)
    git = row.document["GitConfig"] | request.get("GitConfig", {})
    return {"CodeRepositoryArn": REPOSITORY.update(cx, row, {**row.document, "GitConfig": git}).arn}
