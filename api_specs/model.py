"""What AWS says: services, operations, shapes, errors and the facts about a noun, from botocore's own model files.

Nothing here knows a component. A model is read once per process (about 40 ms for `sagemaker`, under 5 ms for the
others); shapes and operations are then built by botocore when somebody asks for them.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

SAGEMAKER_SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-metrics",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-geospatial",
    "sagemaker-inference-router-runtime",
    "sagemakerjobruntime",
    "sagemakertrainingsessionruntime",
)
"""botocore's names of every SageMaker service that botocore 1.44.5 has."""

PATCHES = Path(__file__).parent / "patches"


class _PlainJsonFiles:
    """botocore's file reader seam, without its ordered dictionaries: a third of the time for the largest model."""

    @staticmethod
    def exists(file_path: str) -> bool:
        return Path(f"{file_path}.json").is_file() or Path(f"{file_path}.json.gz").is_file()

    @staticmethod
    def load_file(file_path: str) -> Any:
        plain = Path(f"{file_path}.json")
        if plain.is_file():
            return json.loads(plain.read_bytes())
        packed = Path(f"{file_path}.json.gz")
        if packed.is_file():
            return json.loads(gzip.decompress(packed.read_bytes()))
        return None


@cache
def _loader() -> Any:
    # Only the models that are installed with botocore: a file in the user's ~/.aws/models must not change the server.
    return Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH],
        file_loader=_PlainJsonFiles(),
        include_default_search_paths=False,
    )


@cache
def load_service(name: str) -> ServiceModel:
    """Return botocore's model of one service with our corrections applied.

    Raises `botocore.exceptions.UnknownServiceError` for a name that botocore does not have.
    """
    document = _loader().load_service_model(name, "service-2")
    _drop_documentation(document)
    for correction in _corrections(name):
        *parents, last = correction["path"]
        target = document
        for key in parents:
            target = target[key]
        target[last] = correction["value"]
    return ServiceModel(document, name)


def _drop_documentation(document: dict[str, Any]) -> None:
    # Half of the model is prose that no request ever reads; kept, it would cost several MiB of memory.
    for operation in document["operations"].values():
        operation.pop("documentation", None)
    for shape in document["shapes"].values():
        shape.pop("documentation", None)
        for reference in shape.get("members", {}).values():
            reference.pop("documentation", None)


def _corrections(name: str) -> list[dict[str, Any]]:
    file = PATCHES / f"{name}.json"
    if not file.is_file():
        return []
    corrections: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["corrections"]
    return corrections


def service_names() -> list[str]:
    """Return the name of every service that botocore has a model of."""
    return list(_loader().list_available_services("service-2"))


@cache
def waiters(name: str) -> dict[str, Any]:
    """Return a service's waiters by name, as botocore's waiters-2.json has them."""
    return dict(_loader().load_service_model(name, "waiters-2")["waiters"])


def target_prefix(service: str) -> str:
    """Return what stands before the dot in `X-Amz-Target` (empty for services that route by path)."""
    return str(load_service(service).metadata.get("targetPrefix", ""))


def operations(service: str = "sagemaker") -> tuple[str, ...]:
    """Return the names of all operations of a service."""
    return tuple(load_service(service).operation_names)


@cache
def _operation_set(service: str) -> frozenset[str]:
    return frozenset(operations(service))


def has_operation(name: str, service: str = "sagemaker") -> bool:
    """Return whether the service has this operation."""
    return name in _operation_set(service)


@cache
def operation(name: str, service: str = "sagemaker") -> OperationModel:
    """Return one operation's model; always the same object, so that compiled code can be kept beside it."""
    return load_service(service).operation_model(name)


def shape(name: str, service: str = "sagemaker") -> Shape:
    """Return one shape by its name."""
    return load_service(service).shape_for(name)


def shape_names(service: str = "sagemaker") -> tuple[str, ...]:
    """Return the names of all shapes of a service."""
    return tuple(load_service(service).shape_names)


@cache
def declared_errors(operation_name: str, service: str = "sagemaker") -> frozenset[str]:
    """Return the codes of the errors that an operation declares (query services: the code on the wire)."""
    return frozenset(error.error_code for error in operation(operation_name, service).error_shapes)


def declares_error(operation_name: str, code: str, service: str = "sagemaker") -> bool:
    """Return whether the operation declares an error of this code."""
    return code in declared_errors(operation_name, service)


def nouns(service: str = "sagemaker") -> tuple[str, ...]:
    """Return the nouns that have both Create and Describe."""
    names = _operation_set(service)
    return tuple(
        name.removeprefix("Create")
        for name in operations(service)
        if name.startswith("Create") and "Describe" + name.removeprefix("Create") in names
    )


@cache
def members(shape_name: str, service: str = "sagemaker") -> tuple[str, ...]:
    """Return a structure's member names, in the model's order."""
    return tuple(load_service(service).shape_for(shape_name).members)


@cache
def input_members(operation_name: str, service: str = "sagemaker") -> tuple[str, ...]:
    """Return the member names of an operation's request (empty when it takes none)."""
    taken = operation(operation_name, service).input_shape
    return () if taken is None else tuple(taken.members)


@cache
def output_members(operation_name: str, service: str = "sagemaker") -> tuple[str, ...]:
    """Return the member names of an operation's result (empty when it has none)."""
    given = operation(operation_name, service).output_shape
    return () if given is None else tuple(given.members)


@cache
def key_members(noun: str, service: str = "sagemaker") -> tuple[str, ...]:
    """Return the members that name one resource: what Describe<noun> requires."""
    taken = operation(f"Describe{noun}", service).input_shape
    return tuple(taken.required_members)


@cache
def summary_shape(list_operation_name: str, service: str = "sagemaker") -> tuple[str, tuple[str, ...]]:
    """Return the result field that holds a List's summaries, and their member names (none when they are plain values).

    Raises `LookupError` when the operation's result holds no list.
    """
    given = operation(list_operation_name, service).output_shape
    for name, member in (given.members if given is not None else {}).items():
        if member.type_name == "list":
            element = member.member
            return name, tuple(element.members) if element.type_name == "structure" else ()
    message = f"{list_operation_name} gives no list"
    raise LookupError(message)


@cache
def list_operation(noun: str, service: str = "sagemaker") -> str | None:
    """Return the operation that lists a noun's resources, or None."""
    for plural in _plurals(noun):
        if has_operation(f"List{plural}", service):
            return f"List{plural}"
    return None


def _plurals(noun: str) -> Iterator[str]:
    yield f"{noun}s"
    if noun.endswith("y"):
        yield f"{noun[:-1]}ies"
    yield f"{noun}es"
    stem = noun.removesuffix("V2")  # AutoMLJobV2 is listed by ListAutoMLJobs
    if stem != noun:
        yield f"{stem}s"


@cache
def _not_found_answers() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("not_found.toml").read_text(encoding="utf-8"))


def not_found(noun: str) -> dict[str, str]:
    """Return `code`, `text` and `source` of the answer for a missing resource. KeyError for a noun without an entry."""
    return _not_found_answers()[noun]


@cache
def arn_member(noun: str) -> str:
    """Return the member in which Describe shows the ARN, empty where it shows none; 14 nouns call it otherwise than `<Noun>Arn`."""
    shown = output_members(f"Describe{noun}")
    created = output_members(f"Create{noun}") if has_operation(f"Create{noun}") else ()
    likely = (f"{noun}Arn", *(name for name in created if name.endswith("Arn")), "Arn")
    return next((name for name in likely if name in shown), "")


SEARCHED = {"ExperimentTrial": "Trial", "ExperimentTrialComponent": "TrialComponent"}
"""Search's names of nouns that have another elsewhere."""


@cache
def search_name(noun: str) -> str:
    """Return the resource type by which Search knows a noun; empty for one that is not searched."""
    name = next((known for known, other in SEARCHED.items() if other == noun), noun)
    return name if name in shape("ResourceType").enum else ""


@cache
def search_record(noun: str) -> Shape:
    """Return the shape of what Search knows of a noun: its member of SearchRecord, else what Describe shows (Image, ImageVersion)."""
    return shape("SearchRecord").members.get(noun) or operation(f"Describe{noun}").output_shape


@cache
def enum_of(operation_name: str, member: str, service: str = "sagemaker") -> tuple[str, ...]:
    """Return the values that a member of an operation's request may have; none where it has no such member."""
    taken = operation(operation_name, service).input_shape
    return tuple(taken.members[member].enum) if taken is not None and member in taken.members else ()


NUMBERS = frozenset({"integer", "long", "float", "double", "timestamp"})
"""botocore's types of scalars that documents hold as numbers."""


@cache
def type_at(operation_name: str, path: str, service: str = "sagemaker") -> str:
    """Return the type of what an operation answers at a dotted path; empty where the model has nothing there."""
    return type_within(operation(operation_name, service).output_shape, path)


def type_within(inner_shape: Shape | None, path: str) -> str:
    """Return the type of what stands at a dotted path of a shape, lists taken as what they hold; empty for nothing.

    A map's key is one part of the path, or all that is left of it where the map holds scalars (`Tags.a.b`).
    """
    parts = path.split(".")
    while inner_shape is not None:
        while inner_shape.type_name == "list":
            inner_shape = inner_shape.member
        if not parts:
            return str(inner_shape.type_name)
        if inner_shape.type_name == "map":
            inner = inner_shape.value
            if inner.type_name not in {"structure", "map", "list"}:
                return str(inner.type_name)
            parts, inner_shape = parts[1:], inner
        elif inner_shape.type_name == "structure" and parts[0] in inner_shape.members:
            inner_shape, parts = inner_shape.members[parts[0]], parts[1:]
        else:
            return ""
    return ""
