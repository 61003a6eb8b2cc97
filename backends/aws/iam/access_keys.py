"""Users' access keys. The keys themselves are the kernel's (`backends.core.keys`): the gateway asks it at every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.iam import store, users
from backends.core import keys
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.keys import Key

KEYS_PER_USER = 2
NEVER = {"ServiceName": "N/A", "Region": "N/A"}


@operation("CreateAccessKey", service="iam")
def create_access_key(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a key; its secret is shown this once. LimitExceeded (409) past two."""
    user = users.named(cx, request)
    if len(keys.of(cx, user["Arn"])) >= KEYS_PER_USER:
        raise store.limit("AccessKeysPerUser", KEYS_PER_USER)
    key = keys.issue(cx, cx.account, user["Arn"], None)
    return {"AccessKey": {**_shown(user, key), "SecretAccessKey": key.secret_key}}


@operation("ListAccessKeys", service="iam", reads=True)
def list_access_keys(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a user's keys, without their secrets."""
    user = users.named(cx, request)
    return store.page(request, "AccessKeyMetadata", [_shown(user, key) for key in keys.of(cx, user["Arn"])])


@operation("UpdateAccessKey", service="iam")
def update_access_key(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a key active or inactive, from the next request on."""
    keys.set_active(cx, _of_user(cx, request), active=request["Status"] == "Active")
    return {}


@operation("DeleteAccessKey", service="iam")
def delete_access_key(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a key, from the next request on."""
    keys.remove(cx, _of_user(cx, request))
    return {}


@operation("GetAccessKeyLastUsed", service="iam", reads=True)
def get_access_key_last_used(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return when and where a key was used last. Recorded while IAM is soft or enforce."""
    key = keys.find(cx.transaction, request["AccessKeyId"])
    if key is None or key.account != cx.account or key.expires is not None:
        raise store.missing(f"The Access Key with id {request['AccessKeyId']} cannot be found.")
    used = orjson.loads(key.used) if key.used else NEVER
    return {"UserName": key.arn.rpartition("/")[2], "AccessKeyLastUsed": used}


def _of_user(cx: Context, request: dict[str, Any]) -> Key:
    user, wanted = users.named(cx, request), request["AccessKeyId"]
    for key in keys.of(cx, user["Arn"]):
        if key.access_key == wanted:
            return key
    raise store.missing(f"The Access Key with id {wanted} cannot be found.")


def _shown(user: dict[str, Any], key: Key) -> dict[str, Any]:
    return {
        "UserName": user["UserName"],
        "AccessKeyId": key.access_key,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created,
    }
