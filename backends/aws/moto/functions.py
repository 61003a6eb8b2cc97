"""Lambda functions as moto has them, for what runs them; and what moto's other services invoke, handed to that."""

from __future__ import annotations

import base64
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from backends.core import errors, other_services

if TYPE_CHECKING:
    from backends.core.kernel import Kernel


def install(kernel: Kernel) -> None:
    """Let functions that moto's services invoke (topics, queues, subscriptions) run where all functions do, as promised work."""
    functions: Any = import_module("moto.awslambda.models").LambdaFunction

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        invoke_later = other_services.INVOKE_LATER.get(kernel)
        if invoke_later is not None:
            invoke_later(kernel, function.account_id, function.region, function.function_arn, json.dumps(event))
        return "", False, ""

    functions._invoke_lambda = invoke  # noqa: SLF001 - the one place where moto starts a container for a function
    _keep_dead_letters(functions)


def _keep_dead_letters(functions: Any) -> None:
    """Let functions keep the DeadLetterConfig that they are made or changed with, which moto drops."""
    create, update, show = functions.__init__, functions.update_configuration, functions.get_configuration
    member = "DeadLetterConfig"

    def init(self: Any, account_id: str, spec: dict[str, Any], *more: Any, **others: Any) -> None:
        create(self, account_id, spec, *more, **others)
        self.dead_letters = spec.get(member)

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        self.dead_letters = config_updates.get(member, self.dead_letters)
        return update(self, config_updates)

    def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = show(self, on_create)
        return {**shown, member: self.dead_letters} if self.dead_letters else shown

    functions.__init__, functions.update_configuration = init, update_configuration
    functions.get_configuration = get_configuration


def described(account: str, region: str, name: str, qualifier: str, *, with_code: bool) -> dict[str, Any]:
    """Return a function's configuration, its concurrency and what is done with asynchronous events; on moto's thread.

    `with_code`: its zip and those of its layers too (base64). ResourceNotFoundException.
    """
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[account][region]
    try:
        function: Any = backend.get_function(name, qualifier or None)
    except Exception as error:  # moto's own errors share no base
        arn = name if name.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{name}"
        arn = f"{arn}:{qualifier}" if qualifier else arn
        raise errors.AwsError("ResourceNotFoundException", f"Function not found: {arn}", status=404) from error
    config = function.event_invoke_config
    shown = {
        **function.get_configuration(),
        "ReservedConcurrentExecutions": function.reserved_concurrency,
        "EventInvokeConfig": config[-1].config if config else {},
    }
    if with_code:
        shown["Zip"] = base64.b64encode(function.code_bytes or b"").decode()
        versions = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
        shown["LayerZips"] = [
            base64.b64encode(version.code_bytes).decode() for version in versions if version is not None
        ]
    return json.loads(json.dumps(shown, default=str))  # type: ignore[no-any-return]
