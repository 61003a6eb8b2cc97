"""What a user decides of the toy component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from backends.core.declared.settings import ComponentSettings


@dataclass(frozen=True)
class ToySettings:
    """One number."""

    toy_most_children: Annotated[int, "Compilation jobs that one recommendation job may make."] = 9


SETTINGS = ComponentSettings(ToySettings)
