"""What waits for its engine: nothing of it can be made, there is none of it, and it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api_specs import model
from api_specs.ledger import ledger
from backends import load_components
from backends.core.errors import AwsError
from tests.life.sample import sample
from tests.toy.test_life import Server

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_that_waits_can_be_made_and_there_is_none(tmp_path: Path) -> None:
    server = Server(tmp_path, load_components())
    try:
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
    finally:
        server.stop()
