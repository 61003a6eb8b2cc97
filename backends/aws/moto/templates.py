"""CloudFormation's templates read as data. Moto's own reader constructs whatever Python object a YAML tag names, and runs it.

Source: CloudFormation user guide, "Template formats" (YAML without aliases, merges and timestamps) and quotas: 500 resources, 1 MB.
"""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import yaml
from yaml.events import AliasEvent

MOST_BYTES, MOST_RESOURCES = 1 << 20, 500
UNREADABLE = "Template format error: unsupported structure."
TIMESTAMP, MERGE = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain YAML and the short forms of functions (`!Ref`); no alias, so that no text stands for more than it has."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the library has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in {TIMESTAMP, MERGE}]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(AliasEvent):
            raise yaml.YAMLError("YAML aliases are not allowed in CloudFormation templates")
        return super().compose_node(parent, index)


def install(*modules: Any) -> None:
    """Put this reader into moto's modules in the place of the library that they read YAML with."""
    made: Any = import_module("moto.cloudformation.utils").yaml_tag_constructor
    _Loader.add_multi_constructor("!", lambda loader, name, node: made(loader, f"!{name}", node))
    reader = SimpleNamespace(load=load, Loader=_Loader, add_multi_constructor=lambda *_: None)
    for module in modules:
        module.yaml = reader


def load(text: Any, Loader: Any = None) -> dict[str, Any]:  # noqa: ARG001, N803 - as moto calls it
    """Return a template. Moto's ValidationError for what is none."""
    try:
        template = _parsed(text if isinstance(text, str) else "")
        json.dumps(template, allow_nan=False)  # what else a tag can make (a set, bytes) is no template, and no answer
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _refused(f"Template format error: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(template, dict):
        raise _refused(UNREADABLE)
    if problem := _problem(template.get("Resources")):
        raise _refused(f"Template format error: {problem}")
    return template


def _parsed(text: str) -> Any:
    if len(text) > MOST_BYTES:
        raise ValueError(f"a template must be no longer than {MOST_BYTES} bytes")
    if not text.lstrip().startswith("{"):
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one
    try:
        return json.loads(text)
    except json.JSONDecodeError:  # YAML knows braces too
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one


def _problem(resources: Any) -> str:
    """Return what is wrong with a template's resources; nothing where nothing is. Unverified: most of AWS's wordings."""
    if not isinstance(resources, dict) or not resources:
        return "At least one Resources member must be defined."
    if len(resources) > MOST_RESOURCES:
        return f"Number of resources, {len(resources)}, is greater than maximum allowed, {MOST_RESOURCES}"
    for name, each in resources.items():
        if not isinstance(each, dict):
            return f"[/Resources/{name}] resource definition is malformed"
        if not isinstance(each.get("Type"), str):
            return f"[/Resources/{name}] Every Resources object must contain a Type member."
        if not isinstance(each.get("Properties", {}), dict):
            return f"[/Resources/{name}/Properties] 'null' values or values of another type are not allowed"
    return ""


def _refused(text: str) -> Exception:
    exceptions: Any = import_module("moto.cloudformation.exceptions")
    refused: Exception = exceptions.ValidationError(message=text)
    return refused
