"""EventBridge's and Scheduler's resources of a CloudFormation stack: made, changed and deleted by this server's own operations.

A rule is made with its targets, in one transaction. Ref is the name. What each does is idempotent, so that a crash before the
stack is recorded leaves at most a rule that the next attempt makes its own.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.aws.moto import journal
from backends.core import calls, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context

    Do = Callable[[str, dict[str, Any]], dict[str, Any]]
    """Calls one operation of the resource's service."""

TYPES = {
    "AWS::Events::Rule": ("events", "Rule"),
    "AWS::Events::EventBus": ("events", "EventBus"),
    "AWS::Scheduler::Schedule": ("scheduler", "Schedule"),
    "AWS::Scheduler::ScheduleGroup": ("scheduler", "ScheduleGroup"),
}


class BridgeResource:
    """One resource, as moto's CloudFormation uses its own."""

    resource_type = ""
    is_ready = True

    def __init__(self, region: str, role: str) -> None:
        self.region, self.role = region, role
        self.name = self.arn = ""
        self.properties: dict[str, Any] = {}
        self.cf_resource_type = self.logical_resource_id = ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Return whether GetAtt knows it."""
        return attr in {"Arn", "Name"}

    @property
    def physical_resource_id(self) -> str:
        """Return what Ref returns."""
        return self.name

    def get_cfn_attribute(self, name: str) -> Any:
        """Return what GetAtt returns."""
        if name not in {"Arn", "Name"}:
            exceptions: Any = import_module("moto.cloudformation.exceptions")
            raise exceptions.UnformattedGetAttTemplateException
        return self.arn if name == "Arn" else self.name

    def is_created(self) -> bool:
        """Return True: it is there at once."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **named: Any
    ) -> Any:
        """Make one of a template's properties. RefusedError, which names its type."""
        backend: Any = import_module("moto.cloudformation.models").cloudformation_backends[account_id][region_name]
        stack = backend.stacks.get(named.get("StackId"))
        made = cls(region_name, (stack and stack.role_arn) or "")
        properties = cloudformation_json.get("Properties", {})
        made.name, made.properties = str(properties.get("Name", resource_name)), properties
        made.put()
        return made

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Any, new_resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> Any:
        """Change one to a template's properties; another name, or one of moto's own of an earlier version, is a new one."""
        properties = cloudformation_json.get("Properties", {})
        is_own = isinstance(original_resource, cls)
        if not is_own or properties.get("Name", original_resource.name) != original_resource.name:
            made = cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
            if is_own:
                original_resource.delete(account_id, region_name)
            return made
        old, original_resource.properties = original_resource.properties, properties
        original_resource.put(old)
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any) -> None:
        """Do nothing for one of moto's own, of an earlier version."""

    def put(self, old: dict[str, Any] | None = None) -> None:
        """Make it, or change it from its old properties to its own. RefusedError."""
        self.arn = str(self._do(lambda do: self._made(do, is_new=old is None, old=old)))

    def delete(self, _account: str, _region: str) -> None:
        """Delete it; what is gone already is no failure. RefusedError."""
        self._do(self._deleted)

    def _do(self, work: Callable[[Do], Any]) -> Any:
        """Call operations, all of them or none, as the stack's role, or else as who signed the request; once for all replays."""
        service, _ = TYPES[self.resource_type]

        def done() -> Any:
            opened = journal.current()
            cx = opened.kernel.context(opened.account, self.region, caller=opened.caller)
            try:
                return cx.write(lambda inside: work(lambda name, given: self._call(inside, service, name, given)))
            except errors.AwsError as error:
                raise journal.RefusedError(f"{self.name} ({self.resource_type}): {error.message}") from error

        return journal.current().do(done)

    def _call(self, cx: Context, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        taken = model.input_members(operation, service)
        request = {name: value for name, value in request.items() if name in taken}
        if not self.role:
            calls.judge(cx, operation, request, service)
        return cx.call(operation, request, service, role=self.role)

    def _made(self, do: Do, *, is_new: bool, old: dict[str, Any] | None = None) -> str:
        _, noun = TYPES[self.resource_type]
        given = {**self.properties, "Name": self.name}
        if noun != "Rule":
            answer = do(f"{'Create' if is_new else 'Update'}{noun}", given) if is_new or noun != "ScheduleGroup" else {}
            return str(next((value for name, value in answer.items() if name.endswith("Arn")), self.arn))
        if isinstance(given.get("EventPattern"), dict):
            given["EventPattern"] = json.dumps(given["EventPattern"])
        arn = str(do("PutRule", given)["RuleArn"])
        targets, bus = given.get("Targets", []), {k: given[k] for k in ("EventBusName",) if k in given}
        gone = {target["Id"] for target in (old or {}).get("Targets", [])} - {target["Id"] for target in targets}
        if gone:
            do("RemoveTargets", {"Rule": self.name, "Ids": sorted(gone), **bus})
        if targets:
            do("PutTargets", {"Rule": self.name, "Targets": targets, **bus})
        return arn

    def _deleted(self, do: Do) -> None:
        _, noun = TYPES[self.resource_type]
        place: dict[str, Any] = {k: self.properties[k] for k in ("EventBusName", "GroupName") if k in self.properties}
        try:
            if noun == "Rule":
                targets = do("ListTargetsByRule", {"Rule": self.name, **place})["Targets"]
                if targets:
                    do("RemoveTargets", {"Rule": self.name, "Ids": [target["Id"] for target in targets], **place})
            do(f"Delete{noun}", {"Name": self.name, **place})
        except errors.AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise


CLASSES: dict[str, Any] = {
    name: type(noun, (BridgeResource,), {"resource_type": name}) for name, (_, noun) in TYPES.items()
}
"""The class of each type."""
