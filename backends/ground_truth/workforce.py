"""The private workforce and its teams. Lists are derived."""

from __future__ import annotations

import secrets
import string
from functools import cached_property
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.core import derived, errors
from backends.core.dialects import one_at_a_time
from backends.core.operation import operation
from backends.core.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

DATES = ("CreateDate", "LastUpdatedDate")
MOST_TEAMS, MOST_RANGES = 25, 10  # API reference of CreateWorkteam and UpdateWorkforce
LETTERS = string.ascii_lowercase + string.digits


class _Wrapped(Resource):
    """A noun whose Describe answers with a structure of its name, in a member of its name."""

    @cached_property
    def shown(self) -> tuple[str, ...]:
        return model.members(self.noun)

    @cached_property
    def arn_member(self) -> str:
        return f"{self.noun}Arn"


WORKFORCE = _Wrapped("Workforce", arn_path="workforce", times=DATES, order="Ascending", derives=("List",))
WORKTEAM = _Wrapped(
    "Workteam",
    arn_path="workteam/private-crowd",
    times=DATES,
    order="Ascending",
    quota=MOST_TEAMS,
    derives=("List",),
)


def _workforce(cx: Context) -> Row | None:
    """Return the account's and region's own workforce, or None; nobody else makes or removes it until the transaction ends."""
    one_at_a_time(cx.db, f"Workforce {cx.account} {cx.region}")
    listed = cx.call("ListWorkforces", {})["Workforces"]
    return WORKFORCE.get(cx, listed[0]["WorkforceName"]) if listed else None


def _has_teams(cx: Context) -> bool:
    return bool(cx.call("ListWorkteams", {"MaxResults": 1})["Workteams"])


@operation("CreateWorkforce")
def create_workforce(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store the workforce. ValidationException where there is one, or both or neither of the identity providers."""
    if ("CognitoConfig" in request) == ("OidcConfig" in request):  # Unverified, as the others here: AWS's wording
        raise errors.validation("Exactly one of CognitoConfig and OidcConfig must be given.")
    existing = _workforce(cx)
    if existing is not None:
        raise errors.validation(f"There is already a workforce in this account and region: {existing.arn}")
    label = "".join(secrets.choice(LETTERS) for _ in range(10))
    document = {
        "SourceIpConfig": {"Cidrs": []},
        "SubDomain": f"{label}.labeling.{cx.region}.sagemaker.aws",
        "Status": "Active",
        **_shown_of(request),
    }
    return {"WorkforceArn": WORKFORCE.insert(cx, request["WorkforceName"], document, tag_list=request.get("Tags")).arn}


def _shown_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as Describe shows it: nobody sees the client's secret again. ValidationException for too many ranges."""
    shown = {k: v for k, v in request.items() if k in WORKFORCE.shown}
    if len(shown.get("SourceIpConfig", {}).get("Cidrs", ())) > MOST_RANGES:
        raise errors.validation(f"SourceIpConfig may have at most {MOST_RANGES} Cidrs.")
    if "OidcConfig" in shown:
        shown["OidcConfig"] = {k: v for k, v in shown["OidcConfig"].items() if k != "ClientSecret"}
    return shown


@operation("DescribeWorkforce")
def describe_workforce(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the workforce of a name."""
    return {"Workforce": WORKFORCE.named(cx, request).document}


@operation("UpdateWorkforce")
def update_workforce(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change who may come in, and from where. ConflictException for another provider while there are teams."""
    row, shown = WORKFORCE.named(cx, request), _shown_of(request)
    if "OidcConfig" in shown:
        if "OidcConfig" not in row.document:
            raise errors.validation("OidcConfig cannot be given for a workforce made with Amazon Cognito.")
        if _has_teams(cx):  # API reference of UpdateWorkforce
            raise errors.conflict(f"The OidcConfig of {row.arn} cannot change while it has work teams.")
    return {"Workforce": WORKFORCE.update(cx, row, {**row.document, **shown}).document}


@operation("DeleteWorkforce")
def delete_workforce(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove the workforce. ResourceInUse while it has teams (API reference)."""
    _workforce(cx)  # no team is made meanwhile
    row = WORKFORCE.named(cx, request)
    if _has_teams(cx):
        raise errors.in_use(f"The workforce {row.arn} cannot be deleted: it still has work teams.")
    WORKFORCE.delete(cx, row)
    return {}


@operation("CreateWorkteam")
def create_workteam(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a team. ValidationException without its workforce, or for members of another; ResourceLimitExceeded for a 26th."""
    workforce = _workforce(cx)
    if workforce is None or request.get("WorkforceName", workforce.key) != workforce.key:
        raise WORKFORCE.not_found(cx, request.get("WorkforceName", "default"))
    _check_members(workforce, request)
    document = {**request, "WorkforceArn": workforce.arn, "SubDomain": workforce.document["SubDomain"]}
    return {"WorkteamArn": WORKTEAM.insert(cx, request["WorkteamName"], document, tag_list=request.get("Tags")).arn}


def _check_members(workforce: Row, request: Mapping[str, Any]) -> None:
    """Check that members come from the workforce's own provider (API reference of MemberDefinition)."""
    pool = workforce.document.get("CognitoConfig")
    kind = "OidcMemberDefinition" if pool is None else "CognitoMemberDefinition"
    definitions = request.get("MemberDefinitions", [])
    if any(set(definition) != {kind} for definition in definitions):
        raise errors.validation(f"Each of MemberDefinitions must be a {kind}, as the workforce is {workforce.arn}.")
    if pool is not None and definitions:
        members = [definition[kind] for definition in definitions]
        if {member["UserPool"] for member in members} != {pool["UserPool"]}:
            raise errors.validation(f"The UserPool of each member must be the workforce's: {pool['UserPool']}.")
        if len({member["ClientId"] for member in members}) > 1:
            raise errors.validation("All MemberDefinitions must have the same ClientId.")


@operation("DescribeWorkteam")
def describe_workteam(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a team."""
    return {"Workteam": WORKTEAM.named(cx, request).document}


@operation("UpdateWorkteam")
def update_workteam(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a team's members and what is said of it."""
    workforce, row = _workforce(cx), WORKTEAM.named(cx, request)
    assert workforce is not None  # it stays while there are teams
    _check_members(workforce, request)
    changes = {k: v for k, v in request.items() if k in WORKTEAM.shown}
    return {"Workteam": WORKTEAM.update(cx, row, {**row.document, **changes}).document}


@operation("DeleteWorkteam")
def delete_workteam(cx: Context, request: dict[str, Any]) -> dict[str, bool]:
    """Remove a team."""
    WORKTEAM.delete(cx, WORKTEAM.named(cx, request))
    return {"Success": True}


# -- vendors' teams, of which there are none: nothing can be subscribed to


@operation("DescribeSubscribedWorkteam")
def describe_subscribed_workteam(cx: Context, request: dict[str, Any]) -> None:  # noqa: ARG001
    """Raise ValidationException: there is no such team."""
    known = model.not_found("SubscribedWorkteam")
    raise errors.AwsError(known["code"], known["text"].format(arn=request["WorkteamArn"]))


@operation("ListSubscribedWorkteams")
def list_subscribed_workteams(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page with nothing on it."""
    return derived.empty("ListSubscribedWorkteams", cx, request)
