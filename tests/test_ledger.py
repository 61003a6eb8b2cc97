"""The ledger is true: it knows exactly the model's operations, and its states are what the handlers and the routes say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore import xform_name
from typer.testing import CliRunner

from api_specs import model
from api_specs.ledger import STATES, ledger
from server.cli import app
from server.cli_develop import declared
from server.route import OWN, SHARED_WITH_MOTO
from tests.life.kind import kinds

TESTS = Path(__file__).parent
SERVICES = ledger()


def test_every_service_of_ours_is_in_the_ledger() -> None:
    assert tuple(SERVICES) == OWN


@pytest.mark.parametrize("service", OWN)
def test_every_operation_of_the_model_has_one_line(service: str) -> None:
    assert set(SERVICES[service]) == set(model.operations(service))


def test_a_state_is_one_of_five_and_partial_and_waits_say_what_is_missing() -> None:
    for service, lines in SERVICES.items():
        for name, line in lines.items():
            assert line.state in STATES, f"{service}:{name} is {line.state}"
            assert bool(line.missing) == (line.state in {"partial", "waits"}), f"{service}:{name}"


def test_what_has_a_handler_is_done_or_partial_and_nothing_else_is() -> None:
    handled = set(declared())
    waiting = {(s, name) for s, lines in SERVICES.items() for name, line in lines.items() if line.state == "waits"}
    written = {(s, name) for s, lines in SERVICES.items() for name, line in lines.items() if line.state[0] in "dp"}
    assert handled - written - waiting == set(), "these have handlers: their lines must say done, partial or waits"
    assert written - handled == set(), "these have no handler: their lines must say refused (or moto)"


def test_nothing_ranks_above_the_create_that_feeds_it() -> None:
    own = SERVICES["sagemaker"]
    for name in own:
        noun = name.removeprefix("Describe")
        if noun != name and f"Create{noun}" in own:
            assert STATES.index(own[name].state) >= STATES.index(own[f"Create{noun}"].state), name


def test_every_done_operation_of_sagemaker_is_called_by_a_test() -> None:
    written = "\n".join(file.read_text(encoding="utf-8") for file in TESTS.rglob("*.py"))
    called = set(re.findall(r"[\w]+", written))
    lived = {f"{verb}{noun}" for noun in kinds() for verb in ("Create", "Describe", "Delete")}
    lived |= {f"Update{noun}" for noun, kind in kinds().items() if kind.update}
    lived |= {model.list_operation(noun) or "" for noun in kinds()}
    for service in model.SAGEMAKER_SERVICES:
        done = {name for name, line in SERVICES[service].items() if line.state == "done"}
        uncalled = {name for name in done - lived if not {name, xform_name(name)} & called}
        assert not uncalled, "these are done and no test calls them"


def test_only_services_shared_with_moto_are_left_to_it() -> None:
    for service, lines in SERVICES.items():
        states = {line.state for line in lines.values()}
        assert ("moto" in states) == (service in SHARED_WITH_MOTO)
        assert not ("refused" in states and service in SHARED_WITH_MOTO)


def test_where_finds_handlers_derived_ones_and_what_is_not_built() -> None:
    runner = CliRunner()
    output = runner.invoke(app, ["where", "createtrainingjob"]).output
    assert "backends/training/operations.py:" in output
    assert "derived for Model" in runner.invoke(app, ["where", "DescribeModel"]).output
    assert "no handler\n  refused" in runner.invoke(app, ["where", "GetMetricWidgetImage"]).output
    assert runner.invoke(app, ["where", "CreateNonsense"]).exit_code == 1


def test_coverage_counts_every_operation_once() -> None:
    printed = CliRunner().invoke(app, ["coverage"]).output
    assert f"│ {len(model.operations('sagemaker'))} " in printed
