"""Tags of every resource, by ARN. Limits: shape `TagList` (50), reserved prefix `aws:`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select

from backends.core import errors
from backends.core.dialects import fold, one_at_a_time
from backends.core.prepared import Prepared
from backends.core.tables import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backends.core.types import Context

    Put = Callable[[Any, str, Any], Any]
    Show = Callable[[dict[str, str]], Any]

MAX_TAGS = 50
_OF = Prepared(select(tags.c.key, tags.c.value).where(tags.c.arn == bindparam("arn")).order_by(tags.c.key))


def of(cx: Context, arn: str) -> dict[str, str]:
    """Read the tags of an ARN, in the order of their keys."""
    return dict(_OF.rows(cx.transaction, {"arn": arn}))


def put(cx: Context, arn: str, tag_list: Sequence[Any]) -> dict[str, str]:
    """Add tags, replacing values of keys that are there; give all of them. ValidationException past 50 or for `aws:`."""
    given = {tag["Key"]: tag["Value"] for tag in tag_list}
    if len(given) != len(tag_list):
        raise errors.validation("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in given):
        raise errors.validation("Tag keys that start with 'aws:' are reserved for system use.")
    one_at_a_time(cx.db, f"tags of {arn}")
    merged = {**of(cx, arn), **given}
    if len(merged) > MAX_TAGS:
        raise errors.validation(f"The resource {arn} may have at most {MAX_TAGS} tags.")
    if given:
        remove(cx, arn, list(given))
        cx.db.execute(insert(tags), [{"arn": arn, "key": k, "value": v, "folded": fold(v)} for k, v in given.items()])
    return merged


def remove(cx: Context, arn: str, keys: list[str]) -> None:
    """Remove some tags; keys that are not there do not matter."""
    one_at_a_time(cx.db, f"tags of {arn}")
    cx.db.execute(delete(tags).where(tags.c.arn == arn, tags.c.key.in_(keys)))


def remove_all(cx: Context, arn: str) -> None:
    """Remove every tag of a deleted resource."""
    cx.db.execute(delete(tags).where(tags.c.arn == arn))


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Write tags as AWS's list of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def answer(
    cx: Context, arn: str, request: dict[str, Any], named: tuple[str, str], put: Put = put, shown: Show = as_list
) -> dict[str, Any]:
    """Answer TagResource, UntagResource or ListTagsForResource of a service that has `named` its tags and keys so."""
    if named[0] in request:
        put(cx, arn, request[named[0]])
    elif named[1] in request:
        remove(cx, arn, request[named[1]])
    else:
        return {named[0]: shown(of(cx, arn))}
    return {}
