"""Users and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import roles, store
from backends.aws.iam.store import GROUP, USER
from backends.core import errors, keys
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

GROUPS_PER_USER = 10
NAMING = {"UserName", "GroupName", "Path", "Arn"}
"""What a new name changes; ids stay."""


@operation("CreateUser", service="iam")
def create_user(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a user. EntityAlreadyExists (409) for a taken name."""
    more = roles.boundary(cx, request["PermissionsBoundary"]) if "PermissionsBoundary" in request else {}
    user = store.new(cx, USER, request, groups=[], **more)
    store.write(cx, USER, user)
    return {"User": store.shown(user)}


@operation("GetUser", service="iam", reads=True)
def get_user(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a user: the named one, or the one who asks."""
    return {"User": store.shown(named(cx, request))}


def named(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read the user of a request, who may be left out by a user who means himself."""
    name = request.get("UserName")
    if name is None:
        if ":user/" not in cx.caller.arn:
            raise errors.AwsError("ValidationError", "Must specify userName when calling with non-User credentials")
        name = cx.caller.arn.rpartition("/")[2]
    return store.get(cx, USER, name)


@operation("ListUsers", service="iam", reads=True)
def list_users(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List users by name, in pages."""
    users = store.all_of(cx, USER, request.get("PathPrefix", "/"))
    return store.page(request, "Users", [store.untagged(store.shown(user)) for user in users])


@operation("UpdateUser", service="iam")
def update_user(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Rename a user or move him to another path; his keys go with him."""
    old = store.get(cx, USER, request["UserName"])
    name = request.get("NewUserName", old["UserName"])
    given = {"UserName": name, "Path": request.get("NewPath", old["Path"])}
    store.remove(cx, USER, old["UserName"])
    made = store.new(cx, USER, given)
    store.write(cx, USER, made | {key: value for key, value in old.items() if key not in NAMING})
    keys.hand_over(cx, old["Arn"], made["Arn"])
    return {}


@operation("DeleteUser", service="iam")
def delete_user(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a user. DeleteConflict (409) while keys, policies or groups hang on him."""
    user = store.get(cx, USER, request["UserName"])
    hanging = {
        "delete access keys": keys.of(cx, user["Arn"]),
        "detach all policies": user["attached"],
        "delete policies": user["inline"],
        "remove users from group": user["groups"],
    }
    for what, present in hanging.items():
        if present:
            raise store.conflict(what)
    store.remove(cx, USER, user["UserName"])
    return {}


@operation("CreateGroup", service="iam")
def create_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a group. EntityAlreadyExists (409) for a taken name."""
    group = store.new(cx, GROUP, request)
    store.write(cx, GROUP, group)
    return {"Group": store.shown(group)}


@operation("GetGroup", service="iam", reads=True)
def get_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a group and the users in it, in pages."""
    group = store.get(cx, GROUP, request["GroupName"])
    users = [store.shown(user) for user in _members(cx, group)]
    return {"Group": store.shown(group), **store.page(request, "Users", users)}


@operation("ListGroups", service="iam", reads=True)
def list_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List groups by name, in pages."""
    groups = store.all_of(cx, GROUP, request.get("PathPrefix", "/"))
    return store.page(request, "Groups", [store.shown(group) for group in groups])


@operation("UpdateGroup", service="iam")
def update_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Rename a group or move it to another path; its users stay in it."""
    old = store.get(cx, GROUP, request["GroupName"])
    name = request.get("NewGroupName", old["GroupName"])
    members = _members(cx, old)
    store.remove(cx, GROUP, old["GroupName"])
    made = store.new(cx, GROUP, {"GroupName": name, "Path": request.get("NewPath", old["Path"])})
    store.write(cx, GROUP, made | {key: value for key, value in old.items() if key not in NAMING})
    for user in members:
        store.write(cx, USER, user | {"groups": [name if g == old["GroupName"] else g for g in user["groups"]]})
    return {}


@operation("DeleteGroup", service="iam")
def delete_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group. DeleteConflict (409) while users or policies hang on it."""
    group = store.get(cx, GROUP, request["GroupName"])
    hanging = {
        "remove users from group": _members(cx, group),
        "detach all policies": group["attached"],
        "delete policies": group["inline"],
    }
    for what, present in hanging.items():
        if present:
            raise store.conflict(what)
    store.remove(cx, GROUP, group["GroupName"])
    return {}


@operation("AddUserToGroup", service="iam")
def add_user_to_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Put a user into a group; nothing happens to one who is in it."""
    user, name = store.get(cx, USER, request["UserName"]), store.get(cx, GROUP, request["GroupName"])["GroupName"]
    groups = sorted({*user["groups"], name})
    if len(groups) > GROUPS_PER_USER:
        raise store.limit("GroupsPerUser", GROUPS_PER_USER)
    store.write(cx, USER, user | {"groups": groups})
    return {}


@operation("RemoveUserFromGroup", service="iam")
def remove_user_from_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a user out of a group."""
    user, name = store.get(cx, USER, request["UserName"]), store.get(cx, GROUP, request["GroupName"])["GroupName"]
    store.write(cx, USER, user | {"groups": [group for group in user["groups"] if group != name]})
    return {}


@operation("ListGroupsForUser", service="iam", reads=True)
def list_groups_for_user(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the groups that a user is in."""
    user = store.get(cx, USER, request["UserName"])
    return store.page(request, "Groups", [store.shown(store.get(cx, GROUP, name)) for name in user["groups"]])


def _members(cx: Context, group: dict[str, Any]) -> list[dict[str, Any]]:
    return [user for user in store.all_of(cx, USER) if group["GroupName"] in user["groups"]]
