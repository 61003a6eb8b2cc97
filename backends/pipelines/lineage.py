"""A Lineage step: the entities it makes and the associations between them, one call after the other.

Source: SDK v2 `workflow/lineage_step.py`: an association names an entity of the same step by `Name` and `Type`, any other by `Arn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTITIES = {"Actions": "Action", "Artifacts": "Artifact", "Contexts": "Context"}


def calls(arguments: Mapping[str, Any]) -> list[list[Any]]:
    """Return the calls of a step: [the kind that is made, its name, the request]; associations last."""
    made = [
        [kind, str(request.get(f"{kind}Name", "")), request]
        for member, kind in ENTITIES.items()
        for request in arguments.get(member) or ()
    ]
    return [*made, *(["Association", "", each] for each in arguments.get("Associations") or ())]


def next_call(run: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the operation and the request of the next call, None after the last."""
    if not run["pending"]:
        return None
    kind, _, request = run["pending"][0]
    if kind != "Association":
        return f"Create{kind}", dict(request)
    known = run["metadata"]
    ends = {f"{end}Arn": _arn_of(request.get(end) or {}, known) for end in ("Source", "Destination")}
    kept = {"AssociationType": request["AssociationType"]} if request.get("AssociationType") else {}
    return "AddAssociation", {**ends, **kept}


def note(run: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Keep what a call has made."""
    kind, name, _ = run["pending"][0]
    run["pending"] = run["pending"][1:]
    metadata = dict(run["metadata"])
    if kind == "Association":
        metadata["Associations"] = [*metadata.get("Associations", []), dict(answer)]
    else:
        member = f"{kind}Arns"
        metadata[member] = {**metadata.get(member, {}), name: answer[f"{kind}Arn"]}
    run["metadata"] = metadata


def _arn_of(end: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "Arn" in end:
        return str(end["Arn"])
    return str(known.get(f"{end.get('Type')}Arns", {}).get(end.get("Name"), ""))
