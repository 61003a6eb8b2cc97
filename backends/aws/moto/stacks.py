"""CloudFormation's stacks: templates, parameters and functions are moto's; `AWS::SageMaker::*` resources are this server's own.

A stack is complete when its resources are (an endpoint InService); what cannot be made fails the stack, with the type's name, and
what it had made goes again. Moto would record such resources where no client of SageMaker sees them (moto 3568, 3846).
"""

from __future__ import annotations

import re
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backends.aws.moto import journal, stack_events
from backends.aws.moto.stack_properties import noun_of
from backends.aws.moto.stack_resources import StackResource
from backends.core import errors
from backends.core.context import DEFAULT_REGION
from backends.core.documents import Documents
from backends.core.objects import role_access

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context

ROLLED_BACK = Documents("aws:cloudformation:rollback")
"""Stacks that failed after their requests were answered, by id: a replay finds them here."""
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that the answer, which is XML, cannot hold."""
SETTLING = ("CREATE_COMPLETE", "CREATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_IN_PROGRESS")


def install() -> None:
    """Put SageMaker's resources, S3's templates and the outcome of stacks into moto's CloudFormation."""
    parsing, models, responses = (
        import_module(f"moto.cloudformation.{name}") for name in ("parsing", "models", "responses")
    )
    backend: Any = models.CloudFormationBackend
    _wrap(parsing, "resource_class_from_type", _class_of)
    _wrap(backend, "create_stack", _create)
    _wrap(backend, "execute_change_set", _execute)
    _wrap(backend, "delete_stack", _delete)
    _wrap(backend, "describe_stacks", _describe)
    _wrap(models.Stack, "update", _update)
    _wrap(parsing.ResourceMap, "parse_ssm_parameter", _parameter)
    for module in (models, responses):
        _wrap(module, "get_stack_from_s3_url", _template)
    import_module("backends.aws.moto.templates").install(models, responses)  # its YAML is wanted with moto only


def _wrap(place: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Let a wrapper answer in a function's place: it gets that function and its arguments."""
    original = getattr(place, name)

    @wraps(original)
    def wrapped(*args: Any, **given: Any) -> Any:
        return wrapper(original, *args, **given)

    setattr(place, name, wrapped)


def _class_of(original: Callable[..., Any], resource_type: str) -> Any:
    if journal.current().is_of_before:  # then it was moto's own, and is that again
        return original(resource_type)
    return (
        StackResource if noun_of(resource_type) else stack_events.CLASSES.get(resource_type) or original(resource_type)
    )


def _create(original: Callable[..., Any], backend: Any, *args: Any, **given: Any) -> Any:
    known = set(backend.stacks)

    def made() -> Any:
        return next((stack for stack_id, stack in backend.stacks.items() if stack_id not in known), None)

    return _or_roll_back(lambda: original(backend, *args, **given), made)


def _execute(original: Callable[..., Any], backend: Any, change_set_name: str, stack_name: str | None = None) -> Any:
    named = [each for key, each in backend.change_sets.items() if change_set_name in {key, each.change_set_name}]
    stack = backend.stacks.get(named[-1].stack_id) if named else None
    return _or_roll_back(lambda: original(backend, change_set_name, stack_name), lambda: stack)


def _update(original: Callable[..., Any], stack: Any, template: str, *args: Any, **given: Any) -> None:
    stack.parse_template(template)  # what is no template changes nothing
    try:
        original(stack, template, *args, **given)
    except Exception as error:  # moto's own too: what was changed before is recorded  # noqa: BLE001
        _set_status(stack, "UPDATE_FAILED", str(error) or type(error).__name__)


def _delete(original: Callable[..., Any], backend: Any, name_or_stack_id: str) -> None:
    stack = backend.stacks.get(name_or_stack_id)
    try:
        original(backend, name_or_stack_id)
    except journal.RefusedError as error:
        if stack is None:  # by its name: moto calls this once more, by the id
            raise
        backend.stacks[stack.stack_id] = stack
        _set_status(stack, "DELETE_FAILED", str(error))


def _describe(original: Callable[..., Any], backend: Any, name_or_stack_id: str) -> Any:
    stacks = original(backend, name_or_stack_id)
    for stack in stacks:
        _settle(stack)
    return stacks


def _parameter(original: Callable[..., Any], resources: Any, name: str, kind: str) -> Any:
    """Return a parameter of Systems Manager's, which CDK's templates read at their beginning. Moto's ValidationError for none."""
    try:
        return original(resources, name, kind)
    except AttributeError as error:  # moto reads the value of what is not there
        exceptions: Any = import_module("moto.cloudformation.exceptions")
        text = f"Unable to fetch parameters [{name}] from parameter store for this account."
        raise exceptions.ValidationError(message=text) from error


def _set_status(stack: Any, status: str, reason: str | None = None) -> None:
    stack.status = status
    reason = None if reason is None else NO_XML.sub("\ufffd", reason)
    stack._add_stack_event(status, resource_status_reason=reason)  # noqa: SLF001 - as moto does


def _ours(stack: Any) -> list[Any]:
    return [each for each in stack.resource_map._parsed_resources.values() if hasattr(each, "is_ready")]  # noqa: SLF001


def _or_roll_back(work: Callable[[], Any], made: Callable[[], Any]) -> Any:
    """Do what makes a stack; where a resource of ours is refused, the stack is there, rolled back, and says why."""
    try:
        result = work()
    except Exception as error:  # moto's own too: what was made before goes again
        stack = made()
        if stack is None:
            raise
        _roll_back(stack, str(error) or type(error).__name__)
        return stack
    if (stack := made()) is not None:
        _settle(stack)
    return result


def _settle(stack: Any) -> None:
    """Set a stack to the status that its resources have come to."""
    pending = [each for each in _ours(stack) if not each.is_ready]
    if not pending or stack.status not in SETTLING:
        return
    failure = _failure(stack, pending)
    if failure:
        _roll_back(stack, failure)
        return
    verb = stack.status.partition("_")[0]
    status = f"{verb}_COMPLETE" if all(each.is_ready for each in pending) else f"{verb}_IN_PROGRESS"
    if status != stack.status:
        _set_status(stack, status)


def _failure(stack: Any, pending: list[Any]) -> str:
    """Look at what is not ready, and return why one of it has failed; remembered, since a read is not recorded."""
    opened = journal.current()
    cx = opened.kernel.context(opened.account, stack.region_name)
    known = cx.look(lambda inside: ROLLED_BACK.find(inside, stack.stack_id))
    if known is not None:
        return str(known.document["reason"])
    for each in () if opened.is_replay else pending:
        if reason := each.look():
            _remember(cx, stack.stack_id, reason)
            return str(reason)
    return ""


def _remember(cx: Context, stack_id: str, reason: str) -> None:
    cx.write(lambda inside: ROLLED_BACK.put(inside, stack_id, stack_id, {"reason": reason}))


def _roll_back(stack: Any, reason: str) -> None:
    """Take away what a stack has made, and leave it as ROLLBACK_COMPLETE (an update: UPDATE_FAILED)."""
    if stack.status.startswith("UPDATE"):
        _set_status(stack, "UPDATE_FAILED", reason)
        return
    _set_status(stack, "ROLLBACK_IN_PROGRESS", reason)
    resources = stack.resource_map
    parsed = resources._parsed_resources.values()  # noqa: SLF001
    made = {each.logical_resource_id for each in parsed if hasattr(each, "logical_resource_id")}
    written = resources._resource_json_map  # noqa: SLF001
    resources._resource_json_map = {name: written[name] for name in made}  # noqa: SLF001
    try:
        if made:
            resources.delete()
    except journal.RefusedError as error:
        _set_status(stack, "ROLLBACK_FAILED", str(error))
        return
    resources._resource_json_map = {}  # noqa: SLF001 - what is read off it would be made anew
    stack.output_map._output_json_map = {}  # noqa: SLF001
    _set_status(stack, "ROLLBACK_COMPLETE")


def _template(_original: Callable[..., Any], template_url: str, account_id: str, partition: str) -> str:  # noqa: ARG001 - moto's parameters
    """Read a template from S3, which is this server's."""
    url = urlsplit(template_url)
    first, _, rest = url.path.lstrip("/").partition("/")
    host = (url.hostname or "").partition(".")[0]
    in_path = host in {"localhost", "s3"} or host.startswith("s3-") or (url.hostname or "").replace(".", "").isdigit()
    bucket, key = (first, rest) if in_path else (host, url.path.lstrip("/"))

    def read(cx: Context) -> str:
        try:
            role_access.check(cx, bucket, "s3:GetObject", key)
            stored = cx.objects.head(cx, bucket, key)
        except errors.AwsError as error:
            raise journal.RefusedError(error.message) from error
        if stored is None:
            raise journal.RefusedError(f"S3 error: The specified key does not exist: {template_url}")
        return cx.objects.read_bytes(stored).decode()

    opened = journal.current()
    try:
        cx = opened.kernel.context(account_id, DEFAULT_REGION, caller=opened.caller)
        return str(opened.do(lambda: cx.look(read)))
    except journal.RefusedError as error:
        exceptions: Any = import_module("moto.cloudformation.exceptions")
        raise exceptions.ValidationError(message=str(error)) from error
