"""What waits for its engine: nothing of it can be made, there is none of it, and it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api_specs import model
from api_specs.ledger import ledger
from backends import load_components
from backends.core.errors import AwsError
from tests.life.kind import ROLE
from tests.life.sample import sample
from tests.toy.test_life import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("waiting"), load_components())
    yield running
    running.stop()


def test_nothing_that_waits_can_be_made_and_there_is_none(server: Server) -> None:
    waiting = [each for each in server.kernel.resources.values() if each.awaits]
    assert waiting
    for resource in waiting:
        noun = resource.noun
        with pytest.raises(AwsError) as refused:
            server.call(f"Create{noun}", **sample(model.operation(f"Create{noun}").input_shape))
        assert (refused.value.code, refused.value.status) == ("NotImplemented", 501), noun
        assert ledger()["sagemaker"][f"Create{noun}"].missing == resource.awaits
        named = sample(model.operation(f"Describe{noun}").input_shape)
        with pytest.raises(AwsError) as missing:
            server.call(f"Describe{noun}", **named)
        assert missing.value.code == model.not_found(noun)["code"]
        listing = model.list_operation(noun)
        if listing is not None:
            page = server.call(listing, **sample(model.operation(listing).input_shape))
            assert page == {model.summary_shape(listing)[0]: []}


@pytest.mark.parametrize("name", model.shape("ResourceType").enum)
def test_search_answers_for_every_resource_type(server: Server, name: str) -> None:
    """Also where nothing can be made yet, or where nobody declares it: there are none."""
    suggested = server.call("GetSearchSuggestions", Resource=name)["PropertyNameSuggestions"]
    assert any(each["PropertyName"].endswith(("Arn", "Name")) for each in suggested)
    expression = {"Filters": [{"Name": "Tags.a", "Value": "b"}]}
    answer = server.call("Search", Resource=name, SearchExpression=expression)
    assert answer == {"Results": [], "TotalHits": {"Value": 0, "Relation": "EqualTo"}}
    unknown = {"Filters": [{"Name": "Nonsense", "Value": "b"}]}
    with pytest.raises(AwsError, match="Unknown property name"):
        server.call("Search", Resource=name, SearchExpression=unknown)


def test_what_search_has_no_record_of_is_counted(server: Server) -> None:
    server.call("CreateImage", ImageName="image", RoleArn=ROLE)
    expression = {"Filters": [{"Name": "RoleArn", "Value": ROLE}]}
    answer = server.call("Search", Resource="Image", SearchExpression=expression)
    assert answer == {"Results": [{}], "TotalHits": {"Value": 1, "Relation": "EqualTo"}}
