"""Domains and what stands below them. Describe, List and Delete are derived, but a profile's Delete."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

from backends.core import errors, numbers
from backends.core.dialects import one_at_a_time
from backends.core.operation import operation
from backends.core.resource import Resource, resource
from backends.core.states import machine
from backends.studio.stored import all_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

IN_SERVICE = machine(InService=set())
TAKEN = "The ID or Name specified is already in use."  # aws-samples/sagemaker-studio-custom-image-samples #17
IN_USE = "Unable to delete Domain [{arn}] because %s(s) are associated with it."
OWNS = "Unable to delete UserProfile [{arn}] because Space(s) are associated with it."
"""aws/amazon-sagemaker-feedback #113 has it for a user profile's applications; Unverified: for others."""
FIRST_UID = 200_000  # Unverified
LETTERS = string.ascii_lowercase + string.digits

DOMAIN = resource(
    "Domain",
    arn_path="domain",
    status_member="Status",
    machine=IN_SERVICE,
    order="Ascending",
)


class _Profiles(Resource):
    """User profiles: their names are not case-sensitive (API reference of CreateUserProfile)."""

    def key_of(self, members: Mapping[str, Any]) -> str:
        return super().key_of(members).lower()


PROFILE = _Profiles(
    "UserProfile",
    arn_path="user-profile",
    parent=DOMAIN,
    in_use=IN_USE % "UserProfile",
    exists=TAKEN,
    status_member="Status",
    machine=IN_SERVICE,
    order="Ascending",
    derives=("Describe", "List"),
)
SPACE = resource(
    "Space",
    arn_path="space",
    parent=DOMAIN,
    in_use=IN_USE % "Space",
    exists=TAKEN,
    status_member="Status",
    machine=IN_SERVICE,
    order="Ascending",
    summary={
        "SpaceSettingsSummary": "SpaceSettings",
        "SpaceSharingSettingsSummary": "SpaceSharingSettings",
        "OwnershipSettingsSummary": "OwnershipSettings",
    },
)
APP = resource(
    "App",
    arn_path="app",
    key=("DomainId", "UserProfileName|SpaceName", "AppType", "AppName"),
    awaits="Studio applications",
)


@operation("CreateDomain")
def create_domain(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a domain under an id of its own. ResourceInUse for a taken name, ValidationException for what contradicts itself."""
    name = request["DomainName"]
    one_at_a_time(cx.db, f"Domain {cx.account} {cx.region}")
    if any(row.document["DomainName"].lower() == name.lower() for row in all_of(cx, "Domain")):  # Unverified
        raise errors.in_use(TAKEN)
    key = "d-" + "".join(secrets.choice(LETTERS) for _ in range(12))
    document = {
        "AppNetworkAccessType": "PublicInternetOnly",
        "HomeEfsFileSystemCreation": "Enabled",
        "TagPropagation": "DISABLED",
        **request,
        "DomainId": key,
        "Url": f"https://{key}.studio.{cx.region}.sagemaker.aws",
    }
    _check_network(document)
    row = DOMAIN.insert(cx, key, _with_file_system(document), status="InService", tag_list=request.get("Tags"))
    return {member: row.document[member] for member in ("DomainArn", "DomainId", "Url")}


def _check_network(document: Mapping[str, Any]) -> None:
    """Check what holds after Create as after Update (API reference of both). Unverified: AWS's wording."""
    if document["AppNetworkAccessType"] != "VpcOnly":
        return
    if not document.get("VpcId") or not document.get("SubnetIds"):
        raise errors.validation("VpcId and SubnetIds are required when AppNetworkAccessType is VpcOnly.")
    is_rstudio = "RStudioServerProDomainSettings" in document.get("DomainSettings", {})
    if is_rstudio and "AppSecurityGroupManagement" not in document:
        raise errors.validation(
            "AppSecurityGroupManagement is required for RStudio when AppNetworkAccessType is VpcOnly."
        )


def _with_file_system(document: dict[str, Any]) -> dict[str, Any]:
    """Return a domain with the id of its homes, once they are enabled; they are folders of this machine."""
    if document["HomeEfsFileSystemCreation"] == "Enabled":
        document.setdefault("HomeEfsFileSystemId", f"fs-{secrets.token_hex(9)[:17]}")
    return document


@operation("UpdateDomain")
def update_domain(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a domain's settings. ValidationException for homes that were there and are to be none."""
    row = DOMAIN.named(cx, request)
    changes = {k: v for k, v in request.items() if k != "DomainSettingsForUpdate"}
    settings = dict(request.get("DomainSettingsForUpdate", {}))
    if studio := settings.pop("RStudioServerProDomainSettingsForUpdate", None):
        settings["RStudioServerProDomainSettings"] = studio
    document = merged(row.document, {**changes, "DomainSettings": settings} if settings else changes)
    if row.document["HomeEfsFileSystemCreation"] == "Enabled" != document["HomeEfsFileSystemCreation"]:
        raise errors.validation("HomeEfsFileSystemCreation cannot be changed from Enabled to Disabled.")
    _check_network(document)
    return {"DomainArn": DOMAIN.update(cx, row, _with_file_system(document)).arn}


def merged(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with changes; of settings those that are not named stay (Unverified)."""
    new = {k: {**document.get(k, {}), **v} if isinstance(v, dict) else v for k, v in changes.items()}
    return {**document, **new}


@operation("CreateUserProfile")
def create_user_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a profile of a domain. ValidationException where single sign-on is not as the domain's AuthMode has it."""
    domain = DOMAIN.named(cx, request)
    members = ("SingleSignOnUserIdentifier", "SingleSignOnUserValue")
    given, is_wanted = [member in request for member in members], domain.document["AuthMode"] == "SSO"
    if is_wanted != all(given) or is_wanted != any(given):  # API reference; Unverified: AWS's wording
        verb = "must" if is_wanted else "cannot"
        raise errors.validation(
            f"{' and '.join(members)} {verb} be specified when AuthMode is {domain.document['AuthMode']}."
        )
    document = {**request, "HomeEfsFileSystemUid": _next_uid(cx, domain.key)}
    row = PROFILE.insert(cx, PROFILE.key_of(request), document, status="InService", tag_list=request.get("Tags"))
    return {"UserProfileArn": row.arn}


def _next_uid(cx: Context, domain: str) -> str:
    return str(FIRST_UID + numbers.following(cx, f"HomeEfsFileSystemUid:{domain}"))


@operation("UpdateUserProfile")
def update_user_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a profile's settings."""
    row = PROFILE.named(cx, request)
    changes = {k: v for k, v in request.items() if k == "UserSettings"}
    return {"UserProfileArn": PROFILE.update(cx, row, merged(row.document, changes)).arn}


@operation("DeleteUserProfile")
def delete_user_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a profile. ResourceInUse while it owns a space."""
    row = PROFILE.named(cx, request)
    domain, _, name = row.key.partition("/")
    spaces = SPACE.children_of(cx, domain)
    if any(
        space.document.get("OwnershipSettings", {}).get("OwnerUserProfileName", "").lower() == name for space in spaces
    ):
        raise PROFILE.refusal("Delete", OWNS, row)
    PROFILE.delete(cx, row)
    return {}


@operation("CreateSpace")
def create_space(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a space of a domain. ValidationException for an owner without a kind of sharing or the reverse, ResourceNotFound for no such owner."""
    domain = DOMAIN.named(cx, request)
    owner = request.get("OwnershipSettings")
    if (owner is None) != ("SpaceSharingSettings" not in request):  # Unverified: AWS's wording
        raise errors.validation("OwnershipSettings and SpaceSharingSettings must be given together.")
    if owner is not None:
        PROFILE.named(cx, {"DomainId": domain.key, "UserProfileName": owner["OwnerUserProfileName"]})
    document = {**request, "HomeEfsFileSystemUid": _next_uid(cx, domain.key)}
    row = SPACE.insert(cx, SPACE.key_of(request), document, status="InService", tag_list=request.get("Tags"))
    return {"SpaceArn": row.arn}


@operation("UpdateSpace")
def update_space(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a space's settings and the name that is shown of it."""
    row = SPACE.named(cx, request)
    return {"SpaceArn": SPACE.update(cx, row, merged(row.document, request)).arn}
