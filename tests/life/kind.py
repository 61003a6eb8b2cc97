"""`Kind`: what the life of one noun needs to know of it. Each component has its own in `tests/<component>/kinds.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROLE = "arn:aws:iam::111122223333:role/role"


@dataclass(frozen=True)
class Kind:
    """One noun whose Create works.

    `request(name, parent)`: what Create is asked for, the smallest that is good, where `parent` is the identity of a living one of
    `parent`'s kind (empty without). `identity`: how Describe is asked, of the request with the answer; without, those members that
    Describe requires. `named`: whether the caller names it, so that a second of the name is refused. `update`: members that
    Update takes and Describe then shows; `updated`: as it shows them, where it does not show them so. `unlike`: members of the request that Describe shows otherwise. `found_by`: Search's
    name of the member that has the name. `holds`: whether a living child refuses its deletion; else it goes with its
    children. `listing`: what its List must be asked for besides. `delete`: what Delete must be asked for besides.
    `reused`: whether the key of a deleted one may be used again. `listed_by`: the member of the request by which its List
    shows it, where that shows no ARN. `wrapped`: whether Describe answers with the resource in a member of the noun's name.
    `most`: how many an account may have.
    """

    noun: str
    request: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    parent: str = ""
    identity: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    named: bool = True
    update: Mapping[str, Any] = field(default_factory=dict)
    updated: Mapping[str, Any] = field(default_factory=dict)
    unlike: frozenset[str] = frozenset()
    found_by: str = ""
    holds: bool = False
    listing: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {}
    delete: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = True
    listed_by: str = ""
    wrapped: bool = False
    most: int = 1000

    def __str__(self) -> str:
        return self.noun


def kinds() -> dict[str, Kind]:
    """Collect the kinds of all components."""
    files = sorted(Path(__file__).parents[1].glob("*/kinds.py"))
    modules = [import_module(f"tests.{file.parent.name}.kinds") for file in files]
    return {kind.noun: kind for module in modules for kind in module.KINDS}


def parents_first(known: Mapping[str, Kind]) -> Iterator[Kind]:
    """Yield kinds, each behind its parent."""
    left = dict(known)
    while left:
        for kind in [kind for kind in left.values() if kind.parent not in left]:
            yield left.pop(kind.noun)
