"""Ranges of hyperparameters: what a request says of them, checked, as the sampler takes them and as jobs get their values.

A range is a plain dict, since it is stored in the parent's state: `name`, `kind` (`Integer`, `Continuous`, `Categorical`) and
`low`, `high`, `scale` (`Linear`, `Logarithmic`, `ReverseLogarithmic`) or `values`.
Source: shape ParameterRanges; guide, "Define Hyperparameter Ranges" and "Hyperparameter Scaling" (2026-11).
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Range = dict[str, Any]
MOST_SEARCHED = 30
"""Shape ParameterRanges: how many hyperparameters a job can search over in all."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Hyperparameters that say how long a training job runs, for Hyperband (shape HyperbandStrategyConfig)."""
DECADES_FOR_LOGARITHMIC = 100.0
"""`Auto` is Logarithmic for positive ranges whose ends are so many times apart. Unverified: how the service chooses."""


def ranges_of(parameters: Mapping[str, Any]) -> list[Range]:
    """Return the ranges of a ParameterRanges. ValidationException for what can hold no value."""
    ranges = list(_ranges(parameters))
    names = [each["name"] for each in ranges]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise errors.validation(f"Hyperparameter {repeated[0]} has more than one range.")  # Unverified: AWS's wording
    if len(ranges) > MOST_SEARCHED:
        raise errors.validation(f"At most {MOST_SEARCHED} hyperparameters can be searched; there are {len(ranges)}.")
    return ranges


def _ranges(parameters: Mapping[str, Any]) -> Iterator[Range]:
    for entry in parameters.get("IntegerParameterRanges", ()):
        yield _numeric("Integer", entry)
    for entry in parameters.get("ContinuousParameterRanges", ()):
        yield _numeric("Continuous", entry)
    for entry in parameters.get("CategoricalParameterRanges", ()):
        if len(set(entry["Values"])) != len(entry["Values"]):
            raise errors.validation(f"Values of the categorical hyperparameter {entry['Name']} must be unique.")
        yield {"name": entry["Name"], "kind": "Categorical", "values": list(entry["Values"])}


def _numeric(kind: str, entry: Mapping[str, Any]) -> Range:
    """Read a range of numbers. Unverified: AWS's wordings."""
    name = entry["Name"]
    low, high = (_number(kind, name, entry[member]) for member in ("MinValue", "MaxValue"))
    if low > high:
        raise errors.validation(
            f"The MinValue {entry['MinValue']} of hyperparameter {name} must not be greater than its MaxValue {entry['MaxValue']}."
        )
    if not math.isfinite(high - low):
        raise errors.validation(f"The range of hyperparameter {name} is too wide for a floating-point number.")
    scale = entry.get("ScalingType", "Auto")
    if scale == "Auto":
        scale = "Logarithmic" if low > 0 and high / low >= DECADES_FOR_LOGARITHMIC else "Linear"
    if scale == "Logarithmic" and low <= 0:
        raise errors.validation(f"Logarithmic scaling of hyperparameter {name} needs a MinValue greater than 0.")
    if scale == "ReverseLogarithmic" and kind == "Integer":
        raise errors.validation(f"ReverseLogarithmic scaling is not supported for the integer hyperparameter {name}.")
    if scale == "ReverseLogarithmic" and not 0 <= low <= high < 1:
        raise errors.validation(
            f"ReverseLogarithmic scaling of hyperparameter {name} needs a range within 0 <= x < 1.0."
        )
    return {"name": name, "kind": kind, "low": low, "high": high, "scale": scale}


def _number(kind: str, name: str, text: str) -> float:
    value = math.nan
    if _NUMBER.fullmatch(text):
        with suppress(ValueError):
            value = int(text) if kind == "Integer" else float(text)
    if not math.isfinite(value) or (kind == "Integer" and abs(value) >= 1 << 53):
        raise errors.validation(f"The value {text} of the {kind.lower()} hyperparameter {name} is not valid.")
    return value


def text_of(searched: Range, value: Any) -> str:
    """Write a value as a job's hyperparameter: inside its range, whatever the scale's rounding did."""
    if searched["kind"] == "Categorical":
        return str(value)
    kept = min(max(value, searched["low"]), searched["high"])
    return str(int(kept)) if searched["kind"] == "Integer" else repr(float(kept))


def value_of(searched: Range, text: str) -> Any:
    """Read a job's hyperparameter as the value that the sampler knows; None for one that is not of the range's type or in it."""
    if searched["kind"] == "Categorical":
        return text if text in searched["values"] else None
    try:
        value = int(text) if searched["kind"] == "Integer" else float(text)
    except ValueError:
        return None
    return value if searched["low"] <= value <= searched["high"] else None
