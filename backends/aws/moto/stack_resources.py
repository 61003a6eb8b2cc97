"""One `AWS::SageMaker::*` resource of a CloudFormation stack, made, changed and deleted by this server's own operations."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.aws.moto import half_made, journal
from backends.aws.moto.stack_properties import PREFIX, TOKENS, noun_of, request_of, with_name
from backends.core import calls, errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.context import Context

REF = {
    "Pipeline": "PipelineName", "Domain": "DomainId", "FeatureGroup": "FeatureGroupName", "ModelCard": "ModelCardName",
    "AppImageConfig": "AppImageConfigName", "StudioLifecycleConfig": "StudioLifecycleConfigName",
    "DeviceFleet": "DeviceFleetName", "MlflowTrackingServer": "TrackingServerName",
}  # fmt: skip
"""What Ref returns, where it is not the ARN."""
READY = {"inservice", "created", "completed", "active", ""}
FAILED = re.compile("fail", re.IGNORECASE)


def call(operation: str, request: dict[str, Any], region: str, role: str) -> dict[str, Any]:
    """Call an operation as the stack's role, or else as who signed the request. RefusedError."""
    return dict(together(lambda do: do(operation, request), region, role))


def together(
    work: Callable[[Callable[[str, dict[str, Any]], dict[str, Any]]], Any],
    region: str,
    role: str,
    made: str | None = None,
) -> Any:
    """Call several operations, all of them or none: `work` gets what calls one; `made`: the noun of what they make. RefusedError."""
    opened = journal.current()
    cx = opened.kernel.context(opened.account, region, caller=opened.caller)

    def inside_of(inside: Context) -> Any:
        def do(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if not role:
                calls.judge(inside, operation, request)
            return inside.call(operation, request, role=role)

        result = work(do)
        if made is not None:
            half_made.write_down(inside, made, result["known"], result["identity"])
        return result

    try:
        return cx.write(inside_of)
    except errors.AwsError as error:
        raise journal.RefusedError(f"{error.message} (Service: SageMaker, Error Code: {error.code})") from error


def identity_of(noun: str, known: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return the members by which Describe finds what was made."""
    tail = arn.rpartition("/")[2]
    identity = {
        member: known.get(member, arn if noun == "ModelPackage" else tail) for member in model.key_members(noun)
    }
    if noun == "ImageVersion":
        identity["Version"] = int(tail)
    return identity


def state_of(described: Mapping[str, Any], status_member: str) -> tuple[bool, str]:
    """Return whether a resource is ready, and why it failed where it has."""
    status = str(described.get(status_member, "")) if status_member else ""
    if FAILED.search(status):
        return False, str(described.get("FailureReason", status))
    return status.lower() in READY or not status_member, ""


def _token() -> str:
    """Return a client token, from moto's own generator: the same one in a replay."""
    return str(import_module("moto.moto_api._internal").mock_random.uuid4())


def _status_member(noun: str) -> str:
    declared = journal.current().kernel.resources.get(noun)
    return declared.status_member if declared is not None else ""


class StackResource:
    """One resource, as moto's CloudFormation uses its own: `known` has what Create was given and answered, and Describe shows."""

    def __init__(self, noun: str, region: str, role: str) -> None:
        self.noun, self.region, self.role = noun, region, role
        self.known: dict[str, Any] = {}
        self.identity: dict[str, Any] = {}
        self.properties: dict[str, Any] = {}
        self.arn, self.is_ready = "", False
        self.cf_resource_type = self.logical_resource_id = ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:  # noqa: ARG003 - it is seen when it is there
        """Return True: it is seen when it is there."""
        return True

    @property
    def physical_resource_id(self) -> str:
        """Return what Ref returns."""
        return str(self.known.get(REF.get(self.noun, ""), self.arn))

    def get_cfn_attribute(self, name: str) -> Any:
        """Return what GetAtt returns: any member that Create or Describe knows."""
        if name not in self.known:
            exceptions: Any = import_module("moto.cloudformation.exceptions")
            raise exceptions.UnformattedGetAttTemplateException
        return self.known[name]

    def is_created(self) -> bool:
        """Return True: stacks look at what is ready by themselves."""
        return True  # `_settle` looks

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **named: Any
    ) -> Any:
        """Make one of a template's properties."""
        stack = (
            import_module("moto.cloudformation.models")
            .cloudformation_backends[account_id][region_name]
            .stacks.get(named["StackId"])
        )
        made = cls(noun_of(named["ResourceType"]), region_name, (stack and stack.role_arn) or "")
        made.make(resource_name, cloudformation_json["Properties"], named["LogicalId"])
        return made

    def make(self, name: str, properties: dict[str, Any], logical_id: str) -> None:
        """Create it. RefusedError, which names its type."""
        token = _token()  # before the journal: a replay draws it too
        done = journal.current().do(lambda: self._create(name, token, properties, logical_id))
        self.known, self.identity, self.arn = done["known"], done["identity"], done["arn"]
        self.properties = properties
        self.is_ready = not _status_member(self.noun)

    def _create(self, name: str, token: str, properties: dict[str, Any], logical_id: str) -> dict[str, Any]:
        noun, policy = self.noun, properties.pop("ModelPackageGroupPolicy", None)

        def work(do: Callable[[str, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
            answer = do(f"Create{noun}", request)
            arn = str(next((v for k, v in answer.items() if k.endswith("Arn")), ""))
            identity = identity_of(noun, {**request, **answer}, arn)
            described = do(f"Describe{noun}", identity)
            if policy is not None:
                text = policy if isinstance(policy, str) else json.dumps(policy)
                put = {"ModelPackageGroupName": request["ModelPackageGroupName"], "ResourcePolicy": text}
                do("PutModelPackageGroupPolicy", put)
            arn = arn or str(described.get(model.arn_member(noun), ""))
            return {"known": {**request, **answer, **described}, "identity": identity, "arn": arn}

        try:
            request = with_name(noun, request_of(noun, properties), name, token)
            return dict(together(work, self.region, self.role, noun))
        except journal.RefusedError as error:
            raise journal.RefusedError(f"{logical_id} ({PREFIX}{noun}): {error}") from error

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        """Change one to a template's properties; for one of moto's own, of an earlier version, make one."""
        if not isinstance(original_resource, cls):
            made = cls(noun_of(cloudformation_json["Type"]), region_name, "")
            made.make(new_resource_name, cloudformation_json["Properties"], original_resource.logical_resource_id)
            return made
        original_resource.change(new_resource_name, cloudformation_json["Properties"], account_id, region_name)
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any) -> None:
        """Do nothing for one of moto's own, of an earlier version: no client of SageMaker has seen it."""

    def change(self, name: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Update it where its Update takes all that changed, else put a new one in its place. RefusedError."""
        noun = self.noun
        old, new = (request_of(noun, each) for each in (self.properties, properties))
        changed = {member for member in {*old, *new} if old.get(member) != new.get(member)}
        operation = f"Update{noun}"
        taken = model.input_members(operation) if model.has_operation(operation) else ()
        if changed <= set(taken) and changed <= set(new):
            wanted = {
                k: v for k, v in {**self.identity, **new}.items() if k in taken and (k in changed or k in self.identity)
            }
            journal.current().do(lambda: call(operation, wanted, self.region, self.role))
            self.known |= new
            self.properties, self.is_ready = properties, not _status_member(noun)
            return
        if any(member.endswith("Name") and member in self.identity and member in new for member in new):
            raise journal.RefusedError(
                f"CloudFormation cannot update a stack when a custom-named resource requires replacing: "
                f"{self.physical_resource_id} ({PREFIX}{noun})."
            )
        replaced = StackResource(noun, self.region, self.role)
        replaced.identity, replaced.known = self.identity, self.known
        self.make(name, properties, self.logical_resource_id)
        replaced.delete(account, region)

    def delete(self, _account: str, _region: str) -> None:
        """Delete it; what is gone already is no failure. RefusedError."""
        operation = f"Delete{self.noun}"
        request = half_made.deletion_of(self.noun, self.known, self.identity)
        if request is None:
            return
        request |= dict.fromkeys(TOKENS & set(model.operation(operation).input_shape.required_members), _token())

        def work() -> None:
            try:
                call(operation, request, self.region, self.role)
            except journal.RefusedError:
                if self.described() is not None:
                    raise

        journal.current().do(work)

    def look(self) -> str:
        """Look whether it is ready; return why it has failed, where it has or is gone."""
        described = self.described()
        self.is_ready, failure = (
            (False, "the resource is gone") if described is None else state_of(described, _status_member(self.noun))
        )
        return f"{self.logical_resource_id} ({PREFIX}{self.noun}): {failure}" if failure else ""

    def described(self) -> dict[str, Any] | None:
        """Return what Describe answers now; None where it is gone. Whoever asks about the stack need not be allowed to Describe."""
        opened = journal.current()
        cx = opened.kernel.context(opened.account, self.region)
        try:
            return cx.look(lambda inside: inside.call(f"Describe{self.noun}", self.identity))
        except errors.AwsError:
            return None
