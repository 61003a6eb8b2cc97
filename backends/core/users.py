"""CreatedBy and LastModifiedBy: whose request made a resource, and whose changed it last, where Describe shows that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core.types import Caller

if TYPE_CHECKING:
    from collections.abc import Container

    from backends.core.types import Context

MADE, CHANGED = "CreatedBy", "LastModifiedBy"


def user_of(cx: Context) -> dict[str, Any]:
    """Return the UserContext of who makes the request. Unverified: AWS adds the principal's id."""
    return {"IamIdentity": {"Arn": cx.caller.arn or f"arn:aws:iam::{cx.account}:root"}}


def made_by(cx: Context, shown: Container[str]) -> dict[str, Any]:
    """Return what the document of a new resource says of its maker."""
    return {member: user_of(cx) for member in (MADE, CHANGED) if member in shown}


def changed_by(cx: Context, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with who changes it, where it is somebody's request and no step of the server's own."""
    return {**document, CHANGED: user_of(cx)} if CHANGED in document and cx.caller != Caller() else document
