"""Instance profiles: a name for one role. Nothing here runs on an EC2 instance; scripts that make roles make these too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import roles, store
from backends.aws.iam.store import PROFILE, ROLE
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context


@operation("CreateInstanceProfile", service="iam")
def create_instance_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make an empty profile. EntityAlreadyExists (409) for a taken name."""
    profile = store.new(cx, PROFILE, request, roles=[])
    store.write(cx, PROFILE, profile)
    return {"InstanceProfile": shown(cx, profile)}


@operation("GetInstanceProfile", service="iam", reads=False)
def get_instance_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a profile and its role."""
    return {"InstanceProfile": shown(cx, store.get(cx, PROFILE, request["InstanceProfileName"]))}


@operation("ListInstanceProfiles", service="iam", reads=False)
def list_instance_profiles(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List profiles by name, in pages."""
    profiles = store.all_of(cx, PROFILE, request.get("PathPrefix", "/"))
    return store.page(request, "InstanceProfiles", [store.untagged(shown(cx, profile)) for profile in profiles])


@operation("ListInstanceProfilesForRole", service="iam", reads=False)
def list_instance_profiles_for_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the profiles that hold a role."""
    name = store.get(cx, ROLE, request["RoleName"])["RoleName"]
    profiles = [profile for profile in store.all_of(cx, PROFILE) if name in profile["roles"]]
    return store.page(request, "InstanceProfiles", [shown(cx, profile) for profile in profiles])


@operation("DeleteInstanceProfile", service="iam")
def delete_instance_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a profile. DeleteConflict (409) while it holds a role."""
    profile = store.get(cx, PROFILE, request["InstanceProfileName"])
    if profile["roles"]:
        raise store.conflict("remove roles from instance profile")
    store.remove(cx, PROFILE, profile["InstanceProfileName"])
    return {}


@operation("AddRoleToInstanceProfile", service="iam")
def add_role_to_instance_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Put a role into a profile. LimitExceeded (409): it holds one."""
    profile = store.get(cx, PROFILE, request["InstanceProfileName"])
    role = store.get(cx, ROLE, request["RoleName"])
    if profile["roles"]:
        raise store.limit("InstanceSessionsPerInstanceProfile", 1)
    store.write(cx, PROFILE, profile | {"roles": [role["RoleName"]]})
    return {}


@operation("RemoveRoleFromInstanceProfile", service="iam")
def remove_role_from_instance_profile(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a role out of a profile. NoSuchEntity (404) when it is not in it."""
    profile, name = store.get(cx, PROFILE, request["InstanceProfileName"]), request["RoleName"]
    if name not in profile["roles"]:
        raise store.missing(f"The role with name {name} cannot be found.")
    store.write(cx, PROFILE, profile | {"roles": []})
    return {}


def shown(cx: Context, profile: dict[str, Any]) -> dict[str, Any]:
    """Return a profile as IAM shows it, with its role."""
    return store.shown(profile, Roles=[roles.shown(store.get(cx, ROLE, name)) for name in profile["roles"]])
