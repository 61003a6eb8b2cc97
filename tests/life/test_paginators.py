"""botocore's own paginators and waiters, unchanged: every paginator of every SageMaker service, every waiter that can end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, DataNotFoundError, WaiterError
from botocore.loaders import Loader

from api_specs import model
from api_specs.ledger import ledger, line
from tests.life.kind import Kind, kinds, parents_first
from tests.life.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOADER = Loader(include_default_search_paths=True)
KINDS = kinds()
MISSING = {"ResourceNotFound", "ResourceNotFoundException", "ValidationException"}
MANY = 3
NEVER_EMPTY = {"ListLineageGroups"}
"""An account has a group of its own from the beginning."""
BUILT_WAITERS = {
    "endpoint_in_service",
    "image_created",
    "image_updated",
    "image_version_created",
    "processing_job_completed_or_stopped",
    "training_job_completed_or_stopped",
}


def of_botocore(service: str, what: str) -> dict[str, Any]:
    """Return what botocore has of a service; nothing where it has none."""
    try:
        data: dict[str, Any] = LOADER.load_service_model(service, what)
    except DataNotFoundError:
        return {}
    return data


RESULTS: dict[tuple[str, str], list[str]] = {
    (service, operation): [entry["result_key"]] if isinstance(entry["result_key"], str) else entry["result_key"]
    for service in ledger()
    if service.startswith("sagemaker")
    for operation, entry in of_botocore(service, "paginators-1").get("pagination", {}).items()
}
"""The members in which each paginator of botocore's finds its results."""


def test_every_paginator_answers_of_nothing(aws: Callable[..., Any]) -> None:
    """An empty result, AWS's error for a parent that is not there, or 501 for what the ledger says is not built."""
    clients = {service: aws(service) for service in {service for service, _ in RESULTS}}
    empty = 0
    for (service, operation), keys in RESULTS.items():
        request = sample(model.operation(operation, service).input_shape)
        paginator = clients[service].get_paginator(xform_name(operation))
        try:
            result = paginator.paginate(**request).build_full_result()
        except ClientError as error:
            is_built = line(service, operation).state in {"done", "partial"}
            expected = MISSING if is_built else MISSING | {"NotImplemented"}
            assert error.response["Error"]["Code"] in expected, (operation, error)  # noqa: PT017 - or an empty answer
        else:
            empty += 1
            assert operation in NEVER_EMPTY or not any(result.get(key) for key in keys), (operation, result)
    assert empty >= 65


def make(client: Any, kind: Kind, name: str, parent: Mapping[str, Any], account: str) -> dict[str, Any]:
    """Call Create; return its request and answer."""
    operation = f"Create{kind.noun}"
    required = model.operation(operation).input_shape.required_members
    tokens = {member: f"{name:x<32}" for member in required if member in {"ClientToken", "ClientRequestToken"}}
    text = json.dumps({**kind.request(name, parent), **tokens}).replace("111122223333", account)
    request: dict[str, Any] = json.loads(text)
    answer: dict[str, Any] = getattr(client, xform_name(operation))(**request)
    return {**request, **answer}


def test_pages_of_one_come_to_the_whole(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    first: dict[str, dict[str, Any]] = {}
    for kind in parents_first(KINDS):
        parent = first.get(kind.parent, {})
        count = min(MANY, kind.most)
        made = [make(client, kind, f"{kind.noun.lower()}-{number}", parent, account) for number in range(count)]
        known = {**parent, **made[0]}
        first[kind.noun] = {member: known[member] for member in model.key_members(kind.noun) if member in known}
        listing = model.list_operation(kind.noun) or ""
        if client.can_paginate(xform_name(listing)):
            (key,) = RESULTS["sagemaker", listing]
            paginator, request = client.get_paginator(xform_name(listing)), kind.listing(parent)
            by_one = {"PaginationConfig": {"PageSize": 1}}
            pages = [page[key] for page in paginator.paginate(**request, **by_one)]
            assert [len(page) for page in pages] == [1] * count, kind
            whole = paginator.paginate(**request, **by_one).build_full_result()[key]
            assert whole == [summary for page in pages for summary in page]
            assert len({str(summary) for summary in whole}) == count, kind


def test_search_and_tags_come_in_pages(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    for number in range(MANY):
        tags = [{"Key": f"k{each}", "Value": "v"} for each in range(MANY)]
        arn = client.create_experiment(ExperimentName=f"e{number}", Tags=tags)["ExperimentArn"]
    search, by_one = client.get_paginator("search"), {"PageSize": 1}
    pages = [*search.paginate(Resource="Experiment", PaginationConfig=by_one)]
    assert [page["TotalHits"]["Value"] for page in pages] == [MANY] * MANY
    results = search.paginate(Resource="Experiment", PaginationConfig=by_one).build_full_result()["Results"]
    assert {each["Experiment"]["ExperimentName"] for each in results} == {f"e{number}" for number in range(MANY)}
    listed = client.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 50})
    assert len(listed.build_full_result()["Tags"]) == MANY


def test_waiters_for_the_end_of_what_is_not_there_end_at_once(aws: Callable[..., Any]) -> None:
    """Those for what is there end in the tests of jobs, endpoints and images; each waiter of the model is in one of the two."""
    client = aws("sagemaker")
    once = {"Delay": 0, "MaxAttempts": 1}
    names = [name for name in client.waiter_names if name.endswith("_deleted")]
    assert len(names) == 4
    for name in names:
        request = {"ImageName": "none"} if name.startswith("image") else {
            f"{name.removesuffix('_deleted').title().replace('_', '')}Name": "none"
        }  # fmt: skip
        client.get_waiter(name).wait(**request, WaiterConfig=once)
    for name in set(client.waiter_names) - set(names) - BUILT_WAITERS:
        noun = next(noun for noun in ("NotebookInstance", "TransformJob") if xform_name(noun) in name)
        with pytest.raises(WaiterError, match=r"^Waiter \w+ failed"):
            client.get_waiter(name).wait(**{f"{noun}Name": "none"}, WaiterConfig=once)
