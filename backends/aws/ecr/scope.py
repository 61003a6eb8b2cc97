"""Whose repository is meant, where its images are pulled from, and ECR's errors of what is not there.

A repository's URI is `127.0.0.1:<port>/<account>.<region>/<name>`: a Docker engine that nobody configured takes registries
on 127.0.0.0/8 over plain HTTP, and accounts and regions stay apart. `<account>.dkr.ecr.<region>.amazonaws.com/<name>` means
the same repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table, and_

from backends.core import arn as arns
from backends.core.documents import Documents
from backends.core.errors import AwsError
from backends.core.listening import PORT

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.core.rows import Row

REPOSITORIES = Documents("EcrRepository")


@dataclass(frozen=True, slots=True)
class Repository:
    """Which repository; what it is called in errors."""

    account: str
    region: str
    name: str

    def rows(self, table: Table) -> ColumnElement[bool]:
        """Write the condition of this repository's rows."""
        c = table.c
        return and_(c.account == self.account, c.region == self.region, c.repository == self.name)

    @property
    def key(self) -> dict[str, str]:
        """The columns that name it."""
        return {"account": self.account, "region": self.region, "repository": self.name}

    @property
    def words(self) -> str:
        """AWS's way to name it."""
        return f"the repository with name '{self.name}' in the registry with id '{self.account}'"


def check_registry(cx: Context, request: dict[str, Any]) -> None:
    """Refuse the registry of another account: what its repositories' policies allow is not evaluated."""
    account = request.get("registryId", cx.account)
    if account != cx.account:
        named = arns.make("ecr", cx.region, account, f"repository/{request.get('repositoryName', '*')}")
        who = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
        raise AwsError("AccessDeniedException", f"User: {who} is not authorized to use the resource: {named}")


def find(cx: Context, request: dict[str, Any]) -> tuple[Repository, Row]:
    """Find the repository that a request names; RepositoryNotFoundException."""
    check_registry(cx, request)
    return existing(cx, request["repositoryName"])


def existing(cx: Context, name: str) -> tuple[Repository, Row]:
    """Find a repository of a context's account and region; RepositoryNotFoundException."""
    document = REPOSITORIES.find(cx, name)
    if document is None:
        raise AwsError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{cx.account}'",
        )
    return Repository(document.account, document.region, document.key), document


def arn_of(cx: Context, name: str) -> str:
    """Return a repository's ARN."""
    return arns.make("ecr", cx.region, cx.account, f"repository/{name}")


def address(kernel: Kernel) -> str:
    """Return the registry's address, as an engine on this machine knows it."""
    return f"127.0.0.1:{PORT.get(kernel) or kernel.settings.port}"


def uri_of(kernel: Kernel, repository: Repository) -> str:
    """Return the URI under which a repository is pushed to and pulled from."""
    return f"{address(kernel)}/{repository.account}.{repository.region}/{repository.name}"


def invalid(message: str) -> AwsError:
    """Return ECR's error for bad input."""
    return AwsError("InvalidParameterException", message)


def image_not_found(repository: Repository, identifier: dict[str, Any]) -> AwsError:
    """Return ImageNotFoundException."""
    digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
    named = f"imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'"
    return AwsError(
        "ImageNotFoundException",
        f"The image with imageId {{{named}}} does not exist within the repository with name '{repository.name}' "
        f"in the registry with id '{repository.account}'",
    )
