"""Which images expire: lifecycle policies read, evaluated, and applied by a loop on each account's own clock.

Source: ECR user guide, "Automate the cleanup of images by using lifecycle policies" (2026-11): an image that a rule's tags
match is out of reach for rules of lower priority; what stands in a manifest list stays.
"""

from __future__ import annotations

import fnmatch
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.aws.ecr import images, scope
from backends.aws.ecr.tables import ecr_contents, ecr_images
from backends.core import errors
from backends.core.loops import every

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.errors import AwsError
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
DAY_S = 86_400.0
COUNT, AGE = "imageCountMoreThan", "sinceImagePushed"
NOT_BUILT = {"sinceImagePulled", "sinceImageTransitioned"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `patterns` must each match one of an image's tags."""

    priority: int
    status: str
    patterns: tuple[str, ...]
    kind: str
    number: int

    def matches(self, tags: list[str]) -> bool:
        """Return whether the rule is about an image with these tags."""
        if self.status == "any":
            return True
        if self.status == "untagged":
            return not tags
        return all(any(fnmatch.fnmatchcase(tag, pattern) for tag in tags) for pattern in self.patterns) and bool(tags)


@dataclass(frozen=True, slots=True)
class Aged:
    """An image as rules see it."""

    digest: str
    pushed: float
    tags: list[str]


def parse(text: str) -> list[Rule]:
    """Read a policy, its rules by priority. InvalidParameterException says what is wrong; archiving is 501."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _refused("the text is not JSON") from error
    given = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(given, list) or not given:
        raise _refused("object has missing required properties (['rules'])")
    rules = sorted((_rule(entry) for entry in given), key=lambda rule: rule.priority)
    if len({rule.priority for rule in rules}) != len(rules):
        raise _refused("rules have the same rulePriority")
    if any(rule.status == "any" for rule in rules[:-1]):
        raise _refused("the rule with tagStatus any must have the lowest priority, and there is one at most")
    return rules


def _rule(given: Any) -> Rule:
    selection = _member(given, "selection", dict)
    if _member(_member(given, "action", dict), "type", str) != "expire" or selection.get("countType") in NOT_BUILT:
        raise errors.not_implemented("ecr: lifecycle rules that archive images or count from their last pull")
    status, kind = _member(selection, "tagStatus", str), _member(selection, "countType", str)
    priority, number = _member(given, "rulePriority", int), _member(selection, "countNumber", int)
    prefixes, patterns = selection.get("tagPrefixList"), selection.get("tagPatternList")
    if status not in {"tagged", "untagged", "any"} or kind not in {COUNT, AGE} or min(priority, number) < 1:
        raise _refused("tagStatus, countType, rulePriority or countNumber has a value that there is not")
    if (kind == AGE) != (selection.get("countUnit") == "days") or (kind == COUNT and "countUnit" in selection):
        raise _refused(f"countUnit must be days for {AGE}, and is for nothing else")
    if (status == "tagged") != bool(prefixes or patterns) or (prefixes and patterns):
        raise _refused("tagStatus tagged needs tagPrefixList or tagPatternList, and no other has them")
    listed = prefixes or patterns or []
    if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
        raise _refused("tagPrefixList and tagPatternList are lists of texts")
    literal = [item.replace("[", "[[]").replace("?", "[?]") for item in listed]
    if prefixes:
        literal = [item.replace("*", "[*]") + "*" for item in literal]
    return Rule(priority, status, tuple(literal), kind, number)


def _member(given: Any, name: str, kind: type) -> Any:
    value = given.get(name) if isinstance(given, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _refused(f"object has missing required properties (['{name}'])")
    return value


def _refused(what: str) -> AwsError:
    return scope.invalid(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {what}'"
    )


def expired(rules: list[Rule], there: list[Aged], now: float) -> set[str]:
    """Return the digests of the images that a policy expires."""
    digests: set[str] = set()
    taken: set[str] = set()
    for rule in rules:
        matching = sorted((i for i in there if rule.matches(i.tags)), key=lambda i: (i.pushed, i.digest), reverse=True)
        old = (
            matching[rule.number :]
            if rule.kind == COUNT
            else [i for i in matching if i.pushed <= now - rule.number * DAY_S]
        )
        digests |= {image.digest for image in old} - taken
        taken |= {image.digest for image in matching}
    return digests


@every(3.0)
def expire(kernel: Kernel) -> None:
    """Remove what has expired, repository by repository."""
    for document in kernel.db.read_blocking(lambda tx: scope.REPOSITORIES.everywhere(kernel.context("", "", tx=tx))):
        if "lifecyclePolicyText" in document.document:
            cx = kernel.context(document.account, document.region)
            repository = scope.Repository(document.account, document.region, document.key)
            if cx.look(partial(_due, repository=repository)):
                gone = cx.write(partial(_expire, repository=repository))
                log.info("expired %d images of %s", gone, repository.name)


def _due(cx: Context, repository: scope.Repository) -> set[str]:
    about = scope.REPOSITORIES.find(cx, repository.name)
    if about is None or "lifecyclePolicyText" not in about.document:
        return set()
    tags = images.tags_of(cx, repository)
    rows = cx.db.execute(select(ecr_images.c.digest, ecr_images.c.pushed).where(repository.rows(ecr_images)))
    there = [Aged(row.digest, row.pushed, tags.get(row.digest, [])) for row in rows]
    digests = expired(parse(about.document["lifecyclePolicyText"]), there, cx.clock.now())
    parts = select(ecr_contents.c.part).where(repository.rows(ecr_contents))
    return digests - set(cx.db.execute(parts).scalars()) if digests else digests


def _expire(cx: Context, repository: scope.Repository) -> int:
    gone = _due(cx, repository)
    for digest in gone:
        images.remove(cx, repository, digest)
    return len(gone)
