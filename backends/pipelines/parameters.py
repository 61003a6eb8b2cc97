"""Parameters of a pipeline: their declarations, and the values of an execution, which come as texts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST = 200
"""API reference, Parameter list of StartPipelineExecution."""
MOST_NUMBER = 2**63
TYPES: dict[str, type | tuple[type, ...]] = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}


def problems(declared: Any) -> Iterator[str]:
    """Yield what is wrong with a definition's Parameters."""
    if declared is None:
        return
    if not isinstance(declared, list) or not all(isinstance(each, dict) for each in declared):
        yield "Parameters must be a list"
        return
    names = Counter(str(each.get("Name")) for each in declared)
    for each in declared:
        if not isinstance(each.get("Name"), str) or not each["Name"]:
            yield "A parameter needs a Name"
        elif names[each["Name"]] > 1:
            yield f"Parameter names must be unique: {each['Name']}"
        else:
            yield from _problems_of(each["Name"], each)


def _problems_of(name: str, declared: Mapping[str, Any]) -> Iterator[str]:
    kind, values = declared.get("Type"), declared.get("EnumValues") or []
    if kind not in TYPES:
        yield f"Parameter {name} has the unknown type {kind!r}"
    elif not isinstance(values, list):
        yield f"EnumValues of parameter {name} must be a list"
    elif "DefaultValue" in declared:
        value = declared["DefaultValue"]
        if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
            yield f"The default of parameter {name} is no {kind}"
        elif values and value not in values:
            yield f"The default of parameter {name} is none of its EnumValues"


def values_of(
    declared: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], earlier: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of an execution: those given, those of an `earlier` execution that it stands on, the defaults.

    ValidationException for what is not declared, given twice, of another type, no value of its enumeration, or missing.
    """
    known = {each["Name"]: each for each in declared}
    texts: dict[str, str] = {}
    for each in given:
        if each["Name"] not in known:  # Unverified: AWS's wording, as of the others
            raise errors.validation(f"Parameter {each['Name']} is not defined in the pipeline.")
        if each["Name"] in texts:
            raise errors.validation(f"Parameter {each['Name']} is given more than once.")
        texts[each["Name"]] = each["Value"]
    values = {name: _typed(known[name], text) for name, text in texts.items()}
    for name, each in known.items():
        if name in values:
            continue
        if name in earlier:
            values[name] = earlier[name]
        elif "DefaultValue" in each:
            values[name] = each["DefaultValue"]
        else:
            raise errors.validation(f"Parameter {name} has no default and must be given.")
    return values


def _typed(declared: Mapping[str, Any], text: str) -> Any:
    name, kind = declared["Name"], declared["Type"]
    value = _read(kind, text)
    if value is None:
        raise errors.validation(f"The value of parameter {name} is no {kind}: {text}")
    if declared.get("EnumValues") and value not in declared["EnumValues"]:
        raise errors.validation(f"The value of parameter {name} must be one of {declared['EnumValues']}: {text}")
    return value


def _read(kind: str, text: str) -> Any:
    """Return the value that a text says; None for one that says none, or one that JSON cannot have."""
    if kind == "String":
        return text
    if kind == "Boolean":
        return {"true": True, "false": False}.get(text.strip().lower())
    try:
        value = {"Integer": int, "Float": float}[kind](text)
    except ValueError:
        return None
    return value if abs(value) < MOST_NUMBER else None
