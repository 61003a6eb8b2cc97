"""Names, ARNs and errors of EventBridge; where its buses, rules and targets are kept.

A rule is one document, with its targets in it: a change of either is one row's. Its key is `<bus>/<name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core.documents import Documents
from backends.core.errors import AwsError
from backends.core.paging import read_token, write_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backends.core.context import Context
    from backends.core.rows import Row

DEFAULT = "default"
BUSES, RULES = Documents("EventBus"), Documents("EventRule")
MOST_LISTED = 100


def invalid(message: str) -> AwsError:
    """Return ValidationException."""
    return AwsError("ValidationException", message)


def missing(message: str) -> AwsError:
    """Return ResourceNotFoundException."""
    return AwsError("ResourceNotFoundException", message)


def malformed(text: str) -> AwsError:
    """Return the refusal of an ARN that is none, or none of what may stand there."""
    return invalid(f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format.")


def foreign(text: str) -> AwsError:
    """Return the refusal of what leads into another account."""
    sentence = f"The request names what is another account's, and no policy is known to allow it: {text[:200]}"
    return AwsError("AccessDeniedException", sentence, status=403)


def check_own(cx: Context, text: str) -> arns.Arn:
    """Return an ARN's parts. ValidationException for what is none, AccessDeniedException for another account's."""
    named = arns.parse(text)
    if named is None or not named.service or not named.resource or not named.account:
        raise malformed(text)
    if named.account != cx.account:
        raise foreign(text)
    return named


def check_role(cx: Context, given: dict[str, Any]) -> None:
    """Raise AccessDeniedException for another account's role; a key that names no account may have any where nothing is enforced."""
    role, settings = given.get("RoleArn"), cx.settings
    is_lenient = (settings.auth, settings.iam) == ("off", "off") and cx.caller.access_key != cx.account
    if role is not None and not is_lenient:
        check_own(cx, role)


def bus_name(cx: Context, request: dict[str, Any], member: str = "EventBusName") -> str:
    """Return the name of the bus that a request names by name or ARN. ResourceNotFoundException where there is none."""
    text = str(request.get(member, DEFAULT))
    name = check_own(cx, text).resource.removeprefix("event-bus/") if text.startswith("arn:") else text
    if name != DEFAULT and BUSES.find(cx, name) is None:
        raise missing(f"Event bus {name} does not exist.")
    return name


def bus_arn(cx: Context, name: str) -> str:
    """Return a bus's ARN."""
    return arns.make("events", cx.region, cx.account, f"event-bus/{name}")


def rule_arn(cx: Context, bus: str, name: str) -> str:
    """Return a rule's ARN, in which the default bus is not named."""
    return arns.make("events", cx.region, cx.account, f"rule/{name}" if bus == DEFAULT else f"rule/{bus}/{name}")


def rule_of(cx: Context, request: dict[str, Any], member: str = "Name") -> Row:
    """Return the rule that a request names. ResourceNotFoundException where there is none."""
    bus = bus_name(cx, request)
    row = RULES.find(cx, f"{bus}/{request[member]}")
    if row is None:
        raise missing(f"Rule {request[member]} does not exist on EventBus {bus}.")
    return row


def paged(
    cx: Context,
    request: dict[str, Any],
    what: str,
    read: Callable[[str | None, int], Sequence[Row]],
    size_member: str = "Limit",
) -> tuple[Sequence[Row], dict[str, str]]:
    """Return a page of what `read(behind which key, how many)` reads in the order of keys, and the next page's token."""
    size, binding = request.get(size_member, MOST_LISTED), what.encode()
    after = read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else None
    rows = read(after, size + 1)
    more = {"NextToken": write_token(cx, [rows[size - 1].key], binding)} if len(rows) > size else {}
    return rows[:size], more
