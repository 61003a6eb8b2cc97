"""Lifecycle rules, decided without touching anything: which rule is about an object, and when it strikes.

S3 counts days from an object's time and rounds up to the next midnight UTC. Source: S3 User Guide, "Lifecycle
configuration elements" and "Expiring objects".
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from backends.aws.s3 import failures
from backends.core import errors
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.objects import Bucket, StoredObject

SETTING = "LifecycleConfiguration"
DAY_S = 86_400
MOST_RULES, MOST_ID = 1000, 255
ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
UNBUILT = ("Transitions", "NoncurrentVersionTransitions")


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled rule."""

    name: str
    prefix: str
    tags: dict[str, str]
    above_bytes: int
    below_bytes: float
    document: dict[str, Any]

    def fits(self, key: str, size: int, tags: dict[str, str]) -> bool:
        """Return whether an object passes the rule's filter."""
        return (
            key.startswith(self.prefix)
            and self.above_bytes < size < self.below_bytes
            and self.tags.items() <= tags.items()
        )

    def fits_key(self, key: str) -> bool:
        """Return whether an upload or a delete marker, which have no size and no tags, passes the filter."""
        return key.startswith(self.prefix) and not self.tags and self.above_bytes < 0

    def expires(self, modified: float) -> float | None:
        """Return when a current version of that time expires (epoch seconds); None when this rule does not say."""
        expiration = self.document.get("Expiration", {})
        if "Days" in expiration:
            return midnight_after(modified, expiration["Days"])
        return float(expiration["Date"]) if "Date" in expiration else None

    def expires_noncurrent(self, since: float, newer: int) -> float | None:
        """Return when a version expires that is noncurrent since then and has so many newer noncurrent ones."""
        expiration = self.document.get("NoncurrentVersionExpiration", {})
        if "NoncurrentDays" not in expiration or newer < expiration.get("NewerNoncurrentVersions", 0):
            return None
        return midnight_after(since, expiration["NoncurrentDays"])

    def expires_marker(self, modified: float) -> float | None:
        """Return when a delete marker goes that hides nothing any more."""
        if self.document.get("Expiration", {}).get("ExpiredObjectDeleteMarker"):
            return modified
        return self.expires(modified)

    def aborts(self, created: float) -> float | None:
        """Return when an upload begun then is aborted."""
        days = self.document.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
        return None if days is None else midnight_after(created, days)


def midnight_after(moment: float, days: int) -> float:
    """Return the midnight (UTC) that ends the day which is so many days after a moment."""
    return (math.floor(moment / DAY_S) + days + 1) * float(DAY_S)


def rules_of(bucket: Bucket) -> list[Rule]:
    """Return a bucket's enabled rules."""
    document = bucket.settings.get(SETTING)
    if document is None:
        return []
    return [_rule(rule) for rule in document["Rules"] if rule["Status"] == "Enabled"]


def _rule(document: dict[str, Any]) -> Rule:
    chosen = document.get("Filter", {})
    both = chosen.get("And", chosen)
    tags = both.get("Tags", [both["Tag"]] if "Tag" in both else [])
    return Rule(
        document["ID"],
        both.get("Prefix", document.get("Prefix", "")),
        {tag["Key"]: tag["Value"] for tag in tags},
        both.get("ObjectSizeGreaterThan", -1),
        both.get("ObjectSizeLessThan", math.inf),
        document,
    )


def expiration_member(bucket: Bucket, stored: StoredObject) -> dict[str, str]:
    """Return the response member that says when the current version will expire, and by which rule."""
    if SETTING not in bucket.settings or not stored.is_latest:
        return {}
    due = [
        (when, rule.name)
        for rule in rules_of(bucket)
        if rule.fits(stored.key, stored.size, stored.tags) and (when := rule.expires(stored.modified)) is not None
    ]
    if not due:
        return {}
    when, name = min(due)
    return {"Expiration": f'expiry-date="{formatdate(when, usegmt=True)}", rule-id="{quote(name)}"'}


def abort_members(bucket: Bucket, key: str, created: float) -> dict[str, Any]:
    """Return the response members that say when an upload will be aborted."""
    due = [
        (when, rule.name)
        for rule in rules_of(bucket)
        if rule.fits_key(key) and (when := rule.aborts(created)) is not None
    ]
    return {} if not due else dict(zip(("AbortDate", "AbortRuleId"), min(due), strict=True))


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with an id for every rule; raise what S3 says about a wrong one."""
    rules = document.get("Rules", [])
    if not 1 <= len(rules) <= MOST_RULES:
        raise failures.malformed_xml()
    named = [{**rule, "ID": rule.get("ID") or secrets.token_urlsafe(36)} for rule in rules]
    if len({rule["ID"] for rule in named}) < len(named):
        raise AwsError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule", 400)
    for rule in named:
        _check(rule)
    return {"Rules": named}


def _check(rule: dict[str, Any]) -> None:
    if len(rule["ID"]) > MOST_ID:
        raise failures.invalid_argument("ID length should not exceed allowed limit of 255")
    if rule.get("Status") not in {"Enabled", "Disabled"} or ("Filter" in rule) == ("Prefix" in rule):
        raise failures.malformed_xml()
    if any(rule.get(name) for name in UNBUILT):
        raise errors.not_implemented("s3 lifecycle transitions")
    if not any(name in rule for name in ACTIONS):
        raise failures.invalid_request("At least one action needs to be specified in a rule.")
    if len(rule.get("Filter", {})) > 1:
        raise failures.malformed_xml()
    _check_expiration(rule)
    for action, name in (
        ("NoncurrentVersionExpiration", "NoncurrentDays"),
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
    ):
        if action in rule and rule[action].get(name, 0) <= 0:
            raise failures.invalid_argument(f"'{name}' for {action} action must be a positive integer")
    if "AbortIncompleteMultipartUpload" in rule and _rule(rule).tags:
        raise failures.invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags")


def _check_expiration(rule: dict[str, Any]) -> None:
    expiration = rule.get("Expiration")
    if expiration is None:
        return
    if len(expiration) != 1:
        raise failures.malformed_xml()
    if expiration.get("Days", 1) <= 0:
        raise failures.invalid_argument("'Days' for Expiration action must be a positive integer")
    if expiration.get("Date", 0) % DAY_S:
        raise failures.invalid_argument("'Date' must be at midnight GMT")
    if expiration.get("ExpiredObjectDeleteMarker") and _rule(rule).tags:
        raise failures.invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags")
