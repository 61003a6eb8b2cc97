"""The ledger is true: it knows exactly the model's operations, and its states are what the handlers and the routes say."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from api_specs import model
from api_specs.ledger import STATES, ledger
from server.cli import app
from server.cli_develop import declared
from server.route import OWN, SHARED_WITH_MOTO

SERVICES = ledger()


def test_every_service_of_ours_is_in_the_ledger() -> None:
    assert tuple(SERVICES) == OWN


@pytest.mark.parametrize("service", OWN)
def test_every_operation_of_the_model_has_one_line(service: str) -> None:
    assert set(SERVICES[service]) == set(model.operations(service))


def test_every_state_is_one_of_the_four_and_only_partial_says_what_is_missing() -> None:
    for service, lines in SERVICES.items():
        for name, line in lines.items():
            assert line.state in STATES, f"{service}:{name} is {line.state}"
            assert bool(line.missing) == (line.state == "partial"), f"{service}:{name}"


def test_what_has_a_handler_is_done_or_partial_and_nothing_else_is() -> None:
    handled = set(declared())
    written = {(s, name) for s, lines in SERVICES.items() for name, line in lines.items() if line.state[0] in "dp"}
    assert handled - written == set(), "these have handlers: their lines must say done, or partial and what is missing"
    assert written - handled == set(), "these have no handler: their lines must say refused (or moto)"


def test_only_services_shared_with_moto_are_left_to_it() -> None:
    for service, lines in SERVICES.items():
        states = {line.state for line in lines.values()}
        assert ("moto" in states) == (service in SHARED_WITH_MOTO)
        assert not ("refused" in states and service in SHARED_WITH_MOTO)


def test_where_finds_handlers_derived_ones_and_what_is_not_built() -> None:
    runner = CliRunner()
    found = runner.invoke(app, ["where", "createtrainingjob"]).output
    assert "backends/training/operations.py:" in found
    assert "derived for Model" in runner.invoke(app, ["where", "DescribeModel"]).output
    assert "no handler\n  refused" in runner.invoke(app, ["where", "CreateApp"]).output
    assert runner.invoke(app, ["where", "CreateNonsense"]).exit_code == 1


def test_coverage_counts_every_operation_once() -> None:
    printed = CliRunner().invoke(app, ["coverage"]).output
    assert f"│ {len(model.operations('sagemaker'))} " in printed
