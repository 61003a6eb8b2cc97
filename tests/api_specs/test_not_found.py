"""The table of not-found answers: every noun that can be asked for has one, and says where it is from."""

from __future__ import annotations

import pytest

from api_specs import model

VERBS = ("Describe", "Delete", "Stop", "Update")
NOUNS = sorted(
    {name.removeprefix(verb) for name in model.operations() for verb in VERBS if name.startswith(verb)}
    | set(model.nouns())
)
AS_SEEN = {"TrainingJob", "ProcessingJob", "TransformJob", "App", "Space", "Device", "DeviceFleet", "EndpointPolicy"}
"""Nouns whose answer is not what the model declares: each was seen (contracts/common.md, section 4), or the API reference says it."""


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_an_answer_and_its_source(noun: str) -> None:
    known = model.not_found(noun)
    assert known["source"]
    assert known["text"].format(arn="an-arn", name="a-name")
    assert known["code"] in {"ValidationException", "ResourceNotFound"}


@pytest.mark.parametrize("noun", sorted(set(NOUNS) - AS_SEEN))
def test_the_code_is_what_the_model_declares_where_nothing_else_was_seen(noun: str) -> None:
    verbs = [verb for verb in VERBS if model.has_operation(f"{verb}{noun}")]
    declared = any(model.declares_error(f"{verb}{noun}", "ResourceNotFound") for verb in verbs)
    assert (model.not_found(noun)["code"] == "ResourceNotFound") is declared


def test_no_answer_is_of_nobody() -> None:
    assert len(NOUNS) == len(model._not_found_answers())
