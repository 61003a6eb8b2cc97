"""Other accounts in a request that moto answers: moto follows an ARN wherever it leads, so what leads away is looked for.

Whatever names another account leads there, unless it is data (a message, a tag, a secret) or says who may do something
(a policy's statements, a principal). `resource_policies.py` decides what of it is allowed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.identify import Identity
    from server.types import HttpRequest

ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):[a-z0-9-]*:(?P<account>[0-9]{12})(?![0-9])", re.IGNORECASE)
QUEUE = re.compile(r"(?:^|/)([0-9]{12})/[^/]+$")
ACCOUNT = re.compile(r"[0-9]{12}")
NAMES_ACCOUNT = re.compile(
    r"(?:account_?id|accountid|catalogid|registryid|(?:owner|peerowner|resourceowner)(?:id|account)?"
    r"|queueowner(?:awsaccountid)?|x-amz-account-id|expectedbucketowner)$"
)
PRINCIPALS = {
    "principal", "principals", "sourcearn", "sourceaccount", "awsaccountid", "awsaccountids", "granteeprincipal",
    "retiringprincipal", "userid", "userids", "owners", "executableusers",
}  # fmt: skip
DATA = {
    "message", "messagebody", "subject", "messageattributes", "messageattribute", "tags", "tag", "taglist", "description",
    "secretstring", "secretbinary", "detail", "item", "key", "expressionattributevalues", "environment", "data", "payload",
    "plaintext", "ciphertextblob", "comment",
}  # fmt: skip
VALUES = {
    "ssm": {"value"}, "secretsmanager": {"name"}, "kinesis": {"partitionkey", "explicithashkey"},
    "dynamodb": {"keys", "exclusivestartkey", "keyconditions", "scanfilter", "queryfilter", "expected", "attributeupdates", "parameters"},
    "events": {"eventpattern", "event", "resources", "input", "inputtemplate"}, "states": {"input", "output", "cause"},
    "ec2": {"owner"},  # of images and snapshots: who searches for Amazon's names its account
}  # fmt: skip
"""What is data in one service's requests only; `owner` of EC2 is a filter."""
INVOCATION = re.compile(r"/functions/[^/]+/(?:invocations|invoke-async|response-streaming-invocations)/?$")
"""Of Lambda: all of the body is the function's event."""
ACCOUNTS_ARE_ITS_BUSINESS = {"organizations", "ram", "sso", "controltower", "account"}
ANYBODY = {"sts"}
"""Roles are assumed across accounts: their trust decides, not whose they are."""
MOST_DEPTH = 40


def named(request: HttpRequest, identity: Identity, *, lenient: bool) -> Iterator[tuple[str, str]]:
    """Yield what of a request leads into another account: the member's name in lower case, and its text.

    `lenient`: roles may be anybody's.
    """
    service = identity.signing_name
    if service in ANYBODY or service in ACCOUNTS_ARE_ITS_BUSINESS:
        return
    for name, text in _texts(request, VALUES.get(service, set())):
        if _is_foreign(name, text, identity.account, lenient=lenient):
            yield name, text


def _is_foreign(name: str, text: str, account: str, *, lenient: bool) -> bool:
    """Return whether a member's text leads into another account."""
    queue = QUEUE.search(text) if name == "queueurl" else None
    return (
        (queue is not None and queue[1] != account)
        or (NAMES_ACCOUNT.search(name) is not None and ACCOUNT.fullmatch(text) is not None and text != account)
        or any(
            arn["account"] != account and not (lenient and arn["service"].lower() == "iam")
            for arn in ARN.finditer(text)
        )
    )


def leads_away(service: str, parameters: dict[str, Any], account: str) -> str:
    """Return what of a call that a component makes for its user leads into another account; roles may be anybody's."""
    if service in ANYBODY or service in ACCOUNTS_ARE_ITS_BUSINESS:
        return ""
    texts = _walk("", parameters, VALUES.get(service, set()), 0)
    return next((text for name, text in texts if _is_foreign(name, text, account, lenient=True)), "")


def denied(text: str, code: str = "AccessDeniedException") -> errors.AwsError:
    """Return the refusal of a request that leads into another account."""
    sentence = f"The request names what is another account's, and no policy is known to allow it: {text[:200]}"
    return errors.AwsError(code, sentence, status=403)


def _texts(request: HttpRequest, data: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a request that may lead somewhere, with the member's name in lower case."""
    yield "queueurl" if QUEUE.search(unquote(request.path)) else "path", unquote(unquote(request.path))
    for name, value in request.headers.items():
        if name.startswith("x-amz-") and name not in {"x-amz-security-token", "x-amz-target", "x-amz-date"}:
            yield name, value
    yield from _form(request.query_string, data)
    body = request.body
    if not body or INVOCATION.search(request.path):
        return
    try:
        yield from _walk("", json.loads(body), data, 0)
    except (ValueError, RecursionError):
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            yield from _form(body, data)
        else:  # XML, CBOR: their texts stand there as they are
            yield "body", body.decode("utf-8", "replace")


def _form(text: bytes, data: set[str]) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        parts = {part.lower() for part in name.split(".")}
        if not parts & (PRINCIPALS | DATA | data):
            last = [part for part in name.split(".") if not part.isdigit()]
            yield from _text(last[-1].lower() if last else "", value, data, 0)


def _walk(name: str, given: Any, data: set[str], depth: int) -> Iterator[tuple[str, str]]:
    if depth > MOST_DEPTH:
        raise denied("a document of too many levels")
    if isinstance(given, str):
        yield from _text(name, given, data, depth)
    elif isinstance(given, list):
        for item in given:
            yield from _walk(name, item, data, depth + 1)
    elif isinstance(given, dict):
        for key, value in given.items():
            if key.lower() not in PRINCIPALS | DATA | data:
                yield from _walk(key.lower(), value, data, depth + 1)


def _text(name: str, text: str, data: set[str], depth: int) -> Iterator[tuple[str, str]]:
    """Yield a text, or what a document in it holds; a policy's statements say who may, and lead nowhere."""
    if text[:1] in "{[" and text:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict | list):
            if isinstance(document, dict) and name.endswith(("policy", "document", "value", "attributevalue")):
                document = {key: value for key, value in document.items() if key != "Statement"}
            yield from _walk(name, document, data, depth + 1)
            return
    yield name, text
