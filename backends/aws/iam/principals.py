"""What a principal has: the policies of a user, of his groups, of a role, its boundary, and those of its session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.iam import managed, store
from backends.aws.iam.store import GROUP, ROLE, USER, Kind
from backends.core import policy as policies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backends.core.context import Context
    from backends.core.keys import Key

NOTHING = policies.Policy(())


@dataclass(frozen=True, slots=True)
class Source:
    """One policy with its name and kind, as SimulatePrincipalPolicy shows them."""

    name: str
    kind: str
    policy: policies.Policy


@dataclass(frozen=True, slots=True)
class Grants:
    """What one principal has. `arn` is the user's or role's own (aws:PrincipalArn), `kind` is aws:PrincipalType."""

    arn: str
    kind: str
    user_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[Source, ...] = ()
    boundary: tuple[policies.Policy, ...] | None = None
    session: tuple[policies.Policy, ...] | None = None

    @property
    def policies(self) -> list[policies.Policy]:
        """Its identity policies."""
        return [source.policy for source in self.identity]


def of_key(cx: Context, key: Key) -> Grants:
    """Read what the principal of an issued key has now. One that was deleted since has nothing."""
    opened: dict[str, Any] = orjson.loads(key.session) if key.session else {}
    own = opened.get("user", key.arn)
    kind, name, label = USER, own.rpartition("/")[2], "User"
    if ":assumed-role/" in own:
        kind, name, label = ROLE, own.split("/")[1], "AssumedRole"
    elif ":federated-user/" in key.arn:
        label = "FederatedUser"
    texts = opened.get("policies")
    session = None if texts is None else tuple(parsed(text) for text in texts)
    entity = store.peek(cx, kind, name)
    if entity is None:
        return Grants(own, label, session=session)
    tags = {**_tags(entity), **opened.get("tags", {})}
    user_id = entity[f"{kind.noun}Id"]
    if label == "AssumedRole":
        user_id = f"{user_id}:{own.rpartition('/')[2]}"
    return Grants(
        entity["Arn"], label, user_id, tags, tuple(_identity(cx, kind, entity)), _boundary(cx, entity),
        session,
    )  # fmt: skip


def of_entity(cx: Context, kind: Kind, entity: dict[str, Any]) -> Grants:
    """Read what a role, user or group has."""
    identity = tuple(_identity(cx, kind, entity))
    label = {ROLE: "AssumedRole", USER: "User"}.get(kind, "Group")
    return Grants(entity["Arn"], label, entity[f"{kind.noun}Id"], _tags(entity), identity, _boundary(cx, entity))


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in entity.get("Tags", ())}


def _identity(cx: Context, kind: Kind, entity: dict[str, Any]) -> Iterator[Source]:
    for name, text in entity["inline"].items():
        yield Source(f"{kind.word}_{entity[kind.name_member]}_{name}", "IAM Policy", parsed(text))
    for arn in entity["attached"]:
        policy = managed.find(cx, arn)
        if policy is not None:
            yield Source(policy["PolicyName"], "IAM Policy", parsed(managed.document(policy)))
    for name in entity.get("groups", ()):
        group = store.peek(cx, GROUP, name)
        if group is not None:
            yield from _identity(cx, GROUP, group)


def _boundary(cx: Context, entity: dict[str, Any]) -> tuple[policies.Policy, ...] | None:
    if "PermissionsBoundary" not in entity:
        return None
    policy = managed.find(cx, entity["PermissionsBoundary"]["PermissionsBoundaryArn"])
    return () if policy is None else (parsed(managed.document(policy)),)


def parsed(text: str, kind: policies.Kind = policies.Kind.IDENTITY) -> policies.Policy:
    """Read a policy that was kept; one that IAM would refuse today gives nothing."""
    try:
        return policies.parse(text, kind)
    except policies.PolicyError:  # kept by a version that did not check: it gives nothing
        return NOTHING
