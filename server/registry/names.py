"""How repositories are named: `<account>.<region>/<name>`; by their name alone under ECR's own host."""

from __future__ import annotations

import re

from backends.aws.ecr.scope import Repository
from server.listener import hosts
from server.registry.replies import RegistryError

LONG = re.compile(r"(?P<account>\d{12})\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/(?P<name>.+)")
NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
MOST_NAME = 256


def repository_of(host: str, name: str) -> Repository:
    """Read whose repository is named; NAME_UNKNOWN says how names are written here."""
    long, registry = LONG.fullmatch(name), hosts.registry_of(host)
    if long is not None:
        account, region, name = long["account"], long["region"], long["name"]
    elif registry is not None:
        account, region = registry
    else:
        raise RegistryError(
            404, "NAME_UNKNOWN", f"LocalMaker's repositories are named <account>.<region>/<name>, not {name}: take "
            "the repositoryUri that CreateRepository and DescribeRepositories give",
        )  # fmt: skip
    if len(name) > MOST_NAME or not NAME.fullmatch(name):
        raise RegistryError(400, "NAME_INVALID", f"invalid repository name: {name}")
    return Repository(account, region, name)
