"""The model's constraints, checked on a parsed request, and AWS's own sentence about what is wrong.

Wordings: public captures of SageMaker's answers, e.g. `1 validation error detected: Value 'my_job' at
'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: ...`.
A checker is compiled per structure when it is first met, so an operation pays only for the branches it uses.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from api_specs.patterns import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel, Shape

    Path = tuple[Any, str] | None
    """Where a value stands: (the path of what holds it, its name), None at the top. A string only when needed."""

    Check = Callable[[Any, Path, list[str]], None]
    """Appends one `Value ... at ... failed to satisfy constraint: ...` per violation."""

PATTERN_SLACK = 64
"""Characters: a value longer than twice its maximum and this is not also matched against its pattern: some patterns of
the model take cubic time, which only their short maximum makes harmless."""


def violations(shape: Shape, value: Any) -> list[str]:
    """Return one phrase per violated constraint of the shape, in the model's order; none when the value is good.

    `value` is a parsed request: wrong types were refused before, unknown members are ignored.
    """
    phrases: list[str] = []
    check = checker(shape)
    if check is not None:
        check(value, None, phrases)
    return phrases


def sentence(phrases: list[str]) -> str:
    """Join violations to AWS's message."""
    noun = "error" if len(phrases) == 1 else "errors"
    return f"{len(phrases)} validation {noun} detected: {'; '.join(phrases)}"


def operation_checker(operation: OperationModel) -> Check | None:
    """Return the compiled check of an operation's input, None when nothing is constrained."""
    return None if operation.input_shape is None else checker(operation.input_shape)


@cache
def checker(shape: Shape) -> Check | None:
    """Compile one shape's check (lazily below the first structure); None when nothing is constrained."""
    return _compile(shape, {}, sensitive=False)


def _compile(shape: Shape, structures: dict[tuple[str, bool], Check], *, sensitive: bool) -> Check | None:
    sensitive = sensitive or bool(shape.metadata.get("sensitive"))
    if shape.type_name == "structure":
        if shape.is_document_type or shape.serialization.get("eventstream"):
            return None
        key = (shape.name, sensitive)
        if key not in structures:
            structures[key] = _structure(shape, structures, sensitive=sensitive)
        return structures[key]
    if shape.type_name in {"list", "map"}:
        compile_items = _list if shape.type_name == "list" else _map
        return compile_items(shape, structures, sensitive=sensitive)
    compile_value = {"string": _string, "blob": _blob}.get(shape.type_name, _number)
    return compile_value(shape, sensitive=sensitive)


def _structure(shape: Shape, structures: dict[tuple[str, bool], Check], *, sensitive: bool) -> Check:
    required = tuple((name, _lower_camel(name)) for name in shape.required_members)
    union = shape.is_tagged_union
    rules: dict[str, tuple[str, Check]] | None = None

    def check(value: Mapping[str, Any], path: Path, phrases: list[str]) -> None:
        nonlocal rules
        if rules is None:
            rules = _rules(shape, structures, sensitive=sensitive)
        for name, spelled in required:
            if name not in value:
                at = _spell((path, spelled))
                phrases += [f"Value null at '{at}' failed to satisfy constraint: Member must not be null"]
        if union and len(value) != 1:
            # Unverified: AWS's own words for a union with no member or several are not known.
            phrases.append(_phrase(value, path, "Member must have exactly one member set", sensitive=sensitive))
        for name, item in value.items():
            rule = rules.get(name)
            if rule is not None:
                rule[1](item, (path, rule[0]), phrases)

    return check


def _rules(shape: Shape, structures: dict[tuple[str, bool], Check], *, sensitive: bool) -> dict[str, tuple[str, Check]]:
    compiled = {name: _compile(member, structures, sensitive=sensitive) for name, member in shape.members.items()}
    return {name: (_lower_camel(name), rule) for name, rule in compiled.items() if rule is not None}


def _list(shape: Shape, structures: dict[tuple[str, bool], Check], *, sensitive: bool) -> Check | None:
    low, high = _bounds(shape)
    element = _compile(shape.member, structures, sensitive=sensitive)
    if element is None and low is None and high is None:
        return None

    def check(value: list[Any], path: Path, phrases: list[str]) -> None:
        _check_length(value, path, phrases)
        if element is not None:
            for index, item in enumerate(value, 1):
                element(item, ((path, str(index)), "member"), phrases)

    _check_length = _length(low, high, sensitive=sensitive)
    return check


def _map(shape: Shape, structures: dict[tuple[str, bool], Check], *, sensitive: bool) -> Check | None:
    low, high = _bounds(shape)
    key_rule = _compile(shape.key, structures, sensitive=sensitive)
    value_rule = _compile(shape.value, structures, sensitive=sensitive)
    if key_rule is None and value_rule is None and low is None and high is None:
        return None
    check_length = _length(low, high, sensitive=sensitive)
    constraints = _map_key_constraints(shape.key)

    def check(value: Mapping[str, Any], path: Path, phrases: list[str]) -> None:
        check_length(value, path, phrases)
        for key, item in value.items():
            if key_rule is not None:
                wrong: list[str] = []
                key_rule(key, None, wrong)
                if wrong:
                    # Unverified for SageMaker; other services name all of the key's constraints, at the map itself.
                    phrases.append(
                        _phrase(value, path, f"Map keys must satisfy constraint: [{constraints}]", sensitive=sensitive)
                    )
            if value_rule is not None:
                value_rule(item, ((path, key), "member"), phrases)

    return check


def _map_key_constraints(shape: Shape) -> str:
    low, high = _bounds(shape)
    tails = [
        f"Member must have length less than or equal to {high}" if high is not None else "",
        f"Member must have length greater than or equal to {low}" if low is not None else "",
        f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
        if "pattern" in shape.metadata
        else "",
        f"Member must satisfy enum value set: [{', '.join(shape.enum)}]" if shape.enum else "",
    ]
    return ", ".join(tail for tail in tails if tail)


def _length(low: int | None, high: int | None, *, sensitive: bool) -> Check:
    least, most = low or 0, float("inf") if high is None else high

    def check(value: Any, path: Path, phrases: list[str]) -> None:
        size = len(value)
        if size < least:
            phrases.append(
                _phrase(value, path, f"Member must have length greater than or equal to {low}", sensitive=sensitive)
            )
        elif size > most:
            phrases.append(
                _phrase(value, path, f"Member must have length less than or equal to {high}", sensitive=sensitive)
            )

    return check


def _string(shape: Shape, *, sensitive: bool) -> Check | None:
    low, high = _bounds(shape)
    pattern = shape.metadata.get("pattern")
    allowed = frozenset(shape.enum)
    if low is None and high is None and pattern is None and not allowed:
        return None
    matches = None if pattern is None else matcher(pattern)
    least, most = low or 0, float("inf") if high is None else high

    def check(value: str, path: Path, phrases: list[str]) -> None:
        size = len(value)
        good_length = least <= size <= most
        if not good_length:
            word, limit = ("greater", low) if size < least else ("less", high)
            phrases.append(
                _phrase(value, path, f"Member must have length {word} than or equal to {limit}", sensitive=sensitive)
            )
        if matches is not None and (good_length or size <= 2 * most + PATTERN_SLACK) and not matches(value):
            phrases.append(
                _phrase(value, path, f"Member must satisfy regular expression pattern: {pattern}", sensitive=sensitive)
            )
        if allowed and value not in allowed:
            phrases.append(
                _phrase(
                    value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]", sensitive=sensitive
                )
            )

    return check


def _blob(shape: Shape, *, sensitive: bool) -> Check | None:  # noqa: ARG001 - one signature for all values
    low, high = _bounds(shape)
    if (low is None and high is None) or shape.serialization.get("streaming"):
        return None
    check_length = _length(low, high, sensitive=True)  # bytes are never quoted back

    def check(value: Any, path: Path, phrases: list[str]) -> None:
        if isinstance(value, bytes):  # a streamed payload has no length yet
            check_length(value, path, phrases)

    return check


def _number(shape: Shape, *, sensitive: bool) -> Check | None:
    low, high = _bounds(shape)
    if low is None and high is None:
        return None
    least = float("-inf") if low is None else low
    most = float("inf") if high is None else high

    def check(value: float, path: Path, phrases: list[str]) -> None:
        if value < least:
            phrases.append(
                _phrase(value, path, f"Member must have value greater than or equal to {low}", sensitive=sensitive)
            )
        elif value > most:
            phrases.append(
                _phrase(value, path, f"Member must have value less than or equal to {high}", sensitive=sensitive)
            )

    return check


def _bounds(shape: Shape) -> tuple[Any, Any]:
    return shape.metadata.get("min"), shape.metadata.get("max")


def _phrase(value: Any, path: Path, tail: str, *, sensitive: bool) -> str:
    if sensitive:
        return f"failed to satisfy constraint: {tail}"
    return f"Value '{_java_text(value)}' at '{_spell(path)}' failed to satisfy constraint: {tail}"


def _spell(path: Path) -> str:
    """Spell a path: list positions count from 1 and are followed by `member`, as are map keys (Unverified)."""
    names: list[str] = []
    while path is not None:
        path, name = path
        names.append(name)
    return ".".join(reversed(names))


def _lower_camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _java_text(value: Any) -> str:
    """Print a value as Java's toString does: `[a, b]`, `{k=v}`, `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_java_text(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_java_text(item)}' for key, item in value.items())}}}"
    return str(value)
