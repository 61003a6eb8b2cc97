"""The SDKs' flows run unchanged, on each runner, and nothing leaves the machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.sdk import resources
from tests.sdk.conftest import FLOWS

if TYPE_CHECKING:
    from tests.sdk.conftest import Clients

pytestmark = pytest.mark.slow
ALL = sorted(path.stem for path in FLOWS.glob("v*.py"))
WHOLE = "LOCALMAKER_TEST_SDK" in os.environ
"""`make test` runs each flow once, half of them on each runner, but Spark's, whose recipe is half a gigabyte; the long run all on both."""

ONLY_ON = {"v2_lineage": "process", "v2_processing": "docker", "v2_pipeline": "docker", "v2_pytorch": "process", "v2_remote": "process", "v2_sklearn": "docker",
           "v2_tuning": "process", "v2_xgboost": "process", "v2_steps": "process", "v3_builder": "docker", "v3_pipeline": "process", "v3_processing": "process",
           "v3_resources": "process", "v3_trainer": "process", "v3_tuning": "process"}  # fmt: skip


RECIPES_OF = {"v2_lineage": (), "v2_processing": ("scikit_learn",), "v2_pipeline": ("scikit_learn",), "v2_pytorch": ("pytorch",), "v2_remote": ("base_python",),
              "v2_sklearn": ("scikit_learn",), "v2_spark": ("spark",), "v2_tuning": ("scikit_learn",), "v2_xgboost": ("xgboost",), "v2_steps": ("base_python", "aws_lambda"), "v3_builder": ("scikit_learn",), "v3_pipeline": ("scikit_learn",),
              "v3_processing": ("scikit_learn",), "v3_resources": ("scikit_learn",), "v3_trainer": ("scikit_learn", "pytorch"), "v3_tuning": ("scikit_learn",)}  # fmt: skip
"""The recipes whose environments or images a flow's jobs run in: a closed server can fetch no packages for them."""


def flows_of(runner: str) -> list[str]:
    return [flow for flow in ALL if WHOLE or ONLY_ON.get(flow) == runner]


@pytest.fixture(scope="module")
def begun(clients: Clients, runner: str, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """Make what the flows of a runner need, then start all of them: the first test waits for the first."""
    clients.prepare({recipe for flow in flows_of(runner) for recipe in RECIPES_OF[flow]})
    described = resources.write(tmp_path_factory.mktemp(f"resources-{runner}") / "kinds.json")
    for flow in flows_of(runner):
        clients.begin(flow, *([str(described)] if flow == "v3_resources" else []))
    return clients


@pytest.mark.parametrize("flow", ALL)
def test_a_script_for_real_sagemaker_runs_unchanged(begun: Clients, runner: str, flow: str) -> None:
    if flow not in flows_of(runner):
        pytest.skip(f"in this run on {ONLY_ON.get(flow, 'no runner')} only; LOCALMAKER_TEST_SDK=1 runs it on both")
    begun.ended(flow)


def test_nothing_left_the_machine(begun: Clients, runner: str) -> None:
    for flow in flows_of(runner):
        begun.begun[flow].exception()  # its end, whichever
    assert begun.left() == {"clients": 0, "server": 0, "containers": 0}
    assert "refused to connect" not in begun.live.log.read_text()


def test_what_would_leave_is_dropped_and_counted(begun: Clients) -> None:
    """The counters count: else the test above could not fail."""
    script = (
        "import socket\n"
        "asked = socket.socket(); asked.settimeout(1)\n"
        "try: asked.connect(('198.51.100.1', 443))\n"  # RFC 5737: nobody's
        "except OSError: pass\n"
    )
    before = begun.left()["clients"]
    begun.run(sys.executable, "-c", script, account="000000000000")
    assert begun.left()["clients"] > before
