"""What a target is sent: the event, a constant, a part of the event, or a template with parts of it.

    path     := "$" {"." name | "['name']" | "[number]"}
    template := text with <name>, where a name is one of the InputPathsMap or one of EventBridge's own (`aws.events.*`)

In quotes a text stands as it is, outside of quotes as JSON; a part that the event does not have is nothing in quotes and null
outside. Source: EventBridge User Guide, "Input transformation" (2026-11). Unverified: the refusals' words.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from backends.aws.events import scope

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']*)'\]")
PATH = re.compile(r"\$(?:\.[A-Za-z0-9_-]+|\[\d+\]|\['[^']*'\])*")
PLACE = re.compile(r"<([A-Za-z0-9_.-]+)>")
RULE_ARN, RULE_NAME = "aws.events.rule-arn", "aws.events.rule-name"
INGESTED, EVENT, EVENT_JSON = "aws.events.event.ingestion-time", "aws.events.event", "aws.events.event.json"
LONGEST = 2 << 20
"""Of what a template comes to: twice of what events may have in all."""
RESERVED = {RULE_ARN, RULE_NAME, INGESTED, EVENT, EVENT_JSON}


class TooLongError(ValueError):
    """What a target is to be sent is longer than anything that it takes."""


def check(target: Mapping[str, Any]) -> None:
    """Raise ValidationException for an input that is none."""
    name = target["Id"]
    if sum(member in target for member in ("Input", "InputPath", "InputTransformer")) > 1:
        raise scope.invalid(f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}.")
    if "Input" in target and not _is_json(target["Input"]):
        raise scope.invalid(f"Invalid Input for target {name}. Reason: it is not valid JSON.")
    if "InputPath" in target:
        _check_path(target["InputPath"], name)
    transformer = target.get("InputTransformer")
    if transformer is not None:
        paths = transformer.get("InputPathsMap", {})
        for variable, path in paths.items():
            if variable.lower().startswith("aws"):
                raise scope.invalid(
                    f"InputPathsMap of target {name} must not have names that begin with AWS: {variable}"
                )
            _check_path(path, name)
        template = transformer["InputTemplate"]
        unknown = [each for each in PLACE.findall(template) if each not in paths and each not in RESERVED]
        if unknown:
            raise scope.invalid(f"Invalid InputTemplate for target {name} : [Unknown variable {unknown[0]}].")
        if not _is_json(filled(template, dict.fromkeys({*paths, *RESERVED}, 1))):
            raise scope.invalid(f"Invalid InputTemplate for target {name} : [It is neither a JSON text nor an object].")


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _check_path(path: str, name: str) -> None:
    if PATH.fullmatch(path) is None:
        raise scope.invalid(f"InputPath for target {name} is invalid.")


def at(event: Any, path: str) -> Any:
    """Return what stands at a path of an event; None for nothing."""
    for step in STEP.finditer(path):
        name, number, quoted = step.groups()
        if number is not None:
            event = event[int(number)] if isinstance(event, list) and int(number) < len(event) else None
        else:
            event = event.get(name or quoted) if isinstance(event, dict) else None
    return event


def text_for(target: Mapping[str, Any], event: Mapping[str, Any], rule: tuple[str, str], ingested: str) -> str:
    """Return what a target is sent of an event, as text; `rule`: its ARN and its name."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return _json(at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if transformer is None:
        return _json(event)
    values = {name: at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {RULE_ARN: rule[0], RULE_NAME: rule[1], INGESTED: ingested, EVENT_JSON: event}
    values[EVENT] = {name: value for name, value in event.items() if name != "detail"}
    return filled(transformer["InputTemplate"], values)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with its places filled. TooLongError."""
    written, is_quoted, at_character, length = [], False, 0, len(template)
    while at_character < len(template):
        character = template[at_character]
        place = PLACE.match(template, at_character) if character == "<" else None
        if place is not None and place[1] in values:
            written.append(_in_quotes(values[place[1]]) if is_quoted else _json(values[place[1]]))
            at_character, length = place.end(), length + len(written[-1])
            if length > LONGEST:
                raise TooLongError
            continue
        if character == "\\" and is_quoted:
            written.append(template[at_character : at_character + 2])
            at_character += 2
            continue
        is_quoted ^= character == '"'
        written.append(character)
        at_character += 1
    return "".join(written)


def _in_quotes(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value if isinstance(value, str) else _json(value), ensure_ascii=False)[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
