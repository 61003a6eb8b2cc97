"""Where roles, users, groups, policies and instance profiles are kept: one JSON document each, as IAM shows it.

Keys that begin in lower case are our own and are never shown: trust, attached, inline, groups, roles, versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from sqlalchemy import bindparam, delete, func, select

from backends.aws.iam.tables import iam_entities
from backends.core import arn as arns
from backends.core import errors, keys
from backends.core import policy as policies
from backends.core.dialects import insert_absent, insert_or_update
from backends.core.keys import SEEDED_ROLE
from backends.core.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.context import Context

Entity = dict[str, Any]
PAGE = 100


def _document(*statements: dict[str, Any]) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Statement": statements}).decode()


TRUST = _document(
    *(
        {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        for service in ("sagemaker", "scheduler", "bedrock")
    )
)
FULL_ACCESS = ("arn:aws:iam::aws:policy/AmazonS3FullAccess", "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
BESIDE = _document(
    {
        "Effect": "Allow",
        "Action": ["glue:GetDatabase", "glue:GetPartitions", "bedrock:CreateEvaluationJob", "bedrock:GetEvaluationJob"],
        "Resource": "*",
    }
)
"""What a role has that was never created: SageMaker's own policy, S3 (of which that one knows only buckets named after SageMaker),
and what else the v3 SDK asks of an execution role before it uses it (sagemaker.core.helper.iam_policies, 3.27)."""


_DOCUMENT = select(iam_entities.c.document).where(
    iam_entities.c.account == bindparam("account"),
    iam_entities.c.kind == bindparam("kind"),
    iam_entities.c.name == bindparam("name"),
)
_READ, _LOCK = Prepared(_DOCUMENT), Prepared(_DOCUMENT.with_for_update())


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entity: its noun in AWS's members (`RoleName`, `RoleId`), its word in sentences, its ids' prefix."""

    noun: str
    word: str
    arn_path: str
    id_prefix: str

    @property
    def name_member(self) -> str:
        """The member that names one."""
        return f"{self.noun}Name"


ROLE = Kind("Role", "role", "role", "AROA")
USER = Kind("User", "user", "user", "AIDA")
GROUP = Kind("Group", "group", "group", "AGPA")
POLICY = Kind("Policy", "policy", "policy", "ANPA")
PROFILE = Kind("InstanceProfile", "instance profile", "instance-profile", "AIPA")
OWNERS = (ROLE, USER, GROUP)
"""What policies hang on."""


def new(cx: Context, kind: Kind, request: Entity, **more: Any) -> Entity:
    """Make (and not yet keep) an entity. EntityAlreadyExists (409) for a taken name, whose case does not count."""
    name, path = request[kind.name_member], request.get("Path", "/")
    is_namesake = _of(cx, kind) & (func.lower(iam_entities.c.name) == name.lower())
    if find(cx, kind, name) or cx.db.execute(select(iam_entities.c.name).where(is_namesake)).first() is not None:
        message = f"{kind.word.capitalize()} with name {name} already exists."
        raise errors.AwsError("EntityAlreadyExists", message, status=409)
    return _made(cx, kind, name, path, {**({"Tags": request["Tags"]} if request.get("Tags") else {}), **more})


def _made(cx: Context, kind: Kind, name: str, path: str, more: Entity) -> Entity:
    return {
        kind.name_member: name,
        "Path": path,
        f"{kind.noun}Id": keys.unique_id(kind.id_prefix, f"{cx.account}/{name}"),
        "Arn": str(arns.Arn(arns.partition_of(cx.region), "iam", "", cx.account, f"{kind.arn_path}{path}{name}")),
        "CreateDate": cx.clock.now(),
        **({"attached": [], "inline": {}} if kind in OWNERS else {}),
        **more,
    }


def shown(entity: Entity, **more: Any) -> Entity:
    """Return an entity as IAM shows it."""
    return {key: value for key, value in entity.items() if key[0].isupper()} | more


def untagged(entity: dict[str, Any]) -> dict[str, Any]:
    """Return an entity as lists show it."""
    return {key: value for key, value in entity.items() if key not in {"Tags", "PermissionsBoundary", "RoleLastUsed"}}


def encoded(document: str) -> str:
    """Return a policy as IAM shows it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def _of(cx: Context, kind: Kind) -> Any:
    return (
        (iam_entities.c.account == cx.account) & (iam_entities.c.kind == kind.word) & (iam_entities.c.document != b"")
    )


def find(cx: Context, kind: Kind, name: str) -> Entity | None:
    """Read an entity, or None; until the transaction ends nobody else changes it. A look at a role seeds the account."""
    if kind is ROLE:
        seed(cx)
    return peek(cx, kind, name, lock=True)


def peek(cx: Context, kind: Kind, name: str, *, lock: bool = False) -> Entity | None:
    """Read an entity as it is now, seeding nothing. SQLite needs no lock: it has one writer."""
    row = (_LOCK if lock else _READ).row(cx.transaction, {"account": cx.account, "kind": kind.word, "name": name})
    return dict(orjson.loads(row[0])) if row is not None and row[0] else None


def get(cx: Context, kind: Kind, name: str) -> Entity:
    """Read an entity; NoSuchEntity (404) when there is none."""
    entity = find(cx, kind, name)
    if entity is None:
        raise missing(f"The {kind.word} with name {name} cannot be found.")
    return entity


def owner(cx: Context, request: Entity) -> tuple[Kind, Entity]:
    """Read the role, user or group that a request names."""
    kind = next(kind for kind in OWNERS if kind.name_member in request)
    return kind, get(cx, kind, request[kind.name_member])


def all_of(cx: Context, kind: Kind, prefix: str = "/") -> list[Entity]:
    """Read all of a kind under a path, by name."""
    if kind is ROLE:
        seed(cx)
    rows = cx.db.execute(select(iam_entities.c.document).where(_of(cx, kind)).order_by(iam_entities.c.name))
    entities = [orjson.loads(row.document) for row in rows]
    return [entity for entity in entities if entity["Path"].startswith(prefix)]


def write(cx: Context, kind: Kind, entity: Entity) -> None:
    """Keep an entity, new or changed; the last writer wins, also over one that made the same meanwhile."""
    _put(cx, _row(cx, kind, entity))


def _put(cx: Context, row: dict[str, Any]) -> None:
    key = {name: row[name] for name in ("account", "kind", "name")}
    insert_or_update(cx.db, iam_entities, key, {name: row[name] for name in ("created", "document")})


def remove(cx: Context, kind: Kind, name: str) -> None:
    """Forget an entity; of a role it is remembered that somebody wanted it gone."""
    if kind is ROLE:
        _put(cx, {"account": cx.account, "kind": kind.word, "name": name, "created": cx.clock.now(), "document": b""})
        return
    is_kind = (iam_entities.c.account == cx.account) & (iam_entities.c.kind == kind.word)
    cx.db.execute(delete(iam_entities).where(is_kind, iam_entities.c.name == name))


def _row(cx: Context, kind: Kind, entity: Entity) -> dict[str, Any]:
    return {
        "account": cx.account,
        "kind": kind.word,
        "name": entity[kind.name_member],
        "created": entity["CreateDate"],
        "document": orjson.dumps(entity),
    }


def seed(cx: Context) -> None:
    """Create the account's execution role, once."""
    ensure_role(cx, SEEDED_ROLE, "/")


def ensure_role(cx: Context, name: str, path: str, **more: Any) -> None:
    """Make a role that SageMaker may assume, unless one of that name is there or was deleted by somebody."""
    is_role = (
        (iam_entities.c.account == cx.account) & (iam_entities.c.kind == ROLE.word) & (iam_entities.c.name == name)
    )
    if cx.db.execute(select(iam_entities.c.name).where(is_role)).first() is None:
        more = {"MaxSessionDuration": 3600, "trust": TRUST, "attached": list(FULL_ACCESS), "ours": True, **more}
        more["inline"] = {"LocalMaker": BESIDE}
        insert_absent(cx.db, iam_entities, _row(cx, ROLE, _made(cx, ROLE, name, path, more)))


def missing(message: str) -> errors.AwsError:
    """Return the error of what is not there."""
    return errors.AwsError("NoSuchEntity", message, status=404)


def conflict(what: str) -> errors.AwsError:
    """Return the error of a delete while something hangs on the entity."""
    return errors.AwsError("DeleteConflict", f"Cannot delete entity, must {what} first.", status=409)


def limit(quota: str, most: int) -> errors.AwsError:
    """Return the error of a full quota."""
    return errors.AwsError("LimitExceeded", f"Cannot exceed quota for {quota}: {most}", status=409)


def check_size(text: str, quota: str, most: int) -> None:
    """Raise LimitExceeded (409) for a document of too many characters; IAM does not count white space."""
    if len("".join(text.split())) > most:
        raise limit(quota, most)


def check_document(text: str, kind: policies.Kind = policies.Kind.IDENTITY) -> None:
    """Raise MalformedPolicyDocument for a policy that IAM refuses."""
    try:
        policies.parse(text, kind)
    except policies.PolicyError as error:
        raise errors.AwsError("MalformedPolicyDocument", str(error)) from error


def page(request: Entity, member: str, items: Sequence[Any], size: int = PAGE) -> Entity:
    """Answer one page of a list that is in memory. The marker is how many came before, in IAM's opaque way."""
    marker = request.get("Marker", "0")
    if not marker.isascii() or not marker.isdigit() or len(marker) > 9:
        raise errors.AwsError("ValidationError", f"Invalid Marker: {marker}")
    start, size = int(marker), request.get("MaxItems", size)
    answer: Entity = {member: list(items[start : start + size]), "IsTruncated": len(items) > start + size}
    if answer["IsTruncated"]:
        answer["Marker"] = str(start + size)
    return answer
