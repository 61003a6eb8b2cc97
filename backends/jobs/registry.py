"""Images of this server's own registry (ECR): which of them a URI means, and what a Docker engine is told to pull.

A repository has two forms of URI, `127.0.0.1:<port>/<account>.<region>/<name>` and AWS's. The port may be one that the
server had before: the account and the name say what is meant. What the tag stands for is read here, as SageMaker does when
a job starts, and pulled by its digest: an engine that has it pulls nothing, and a moved tag is another image.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core.errors import AwsError
from backends.jobs.runners.base import StartError

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel

_PATH = r"(?P<name>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[^:@/]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
_REGION = r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)"
_OWN = re.compile(rf"(?:127(?:\.\d+){{3}}|localhost)(?::\d+)?/(?P<account>\d{{12}})\.{_REGION}/{_PATH}")
_AWS = re.compile(rf"(?P<account>\d{{12}})\.dkr\.ecr(?:-fips)?\.{_REGION}\.amazonaws\.com(?:\.cn)?/{_PATH}")


@dataclass(frozen=True, slots=True)
class Stored:
    """An image that this server has: what is pulled, from where, and with which user and password."""

    reference: str
    address: str
    login: tuple[str, str]


def find(kernel: Kernel, uri: str) -> Stored | None:
    """Find the image that a URI means; None when its repository is not here. StartError when only the image is not.

    A repository of the user's that is named like one of AWS's own comes before what this server puts in its place.
    """
    own, aws = _OWN.fullmatch(uri), _AWS.fullmatch(uri)
    named = own or aws
    if named is None or ("ecr", "BatchGetImage") not in kernel.operations:
        return None
    cx = kernel.context(named["account"], named["region"])
    try:
        return cx.look(lambda inside: _find(inside, named))
    except AwsError as error:
        if own is None and error.code == "RepositoryNotFoundException":
            return None  # AWS's own image, or one that only AWS has
        raise StartError(f"The image {uri} is not in this server's registry: {error.message}") from error


def _find(cx: Context, named: re.Match[str]) -> Stored:
    name, digest = named["name"], named["digest"]
    wanted = {"imageDigest": digest} if digest else {"imageTag": named["tag"] or "latest"}
    answer = cx.call("BatchGetImage", {"repositoryName": name, "imageIds": [wanted]}, "ecr")
    if answer["failures"]:
        failure = answer["failures"][0]
        raise AwsError(failure["failureCode"], failure["failureReason"])
    image: dict[str, Any] = answer["images"][0]["imageId"]
    about = cx.call("DescribeRepositories", {"repositoryNames": [name]}, "ecr")["repositories"][0]
    token = cx.call("GetAuthorizationToken", {}, "ecr")["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    uri: str = about["repositoryUri"]
    return Stored(f"{uri}@{image['imageDigest']}", uri.partition("/")[0], (user, password))
