"""`kill -9` of the server while functions run: what was promised is done, and nothing of an environment is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.aws.lambda_.functions import function, invoke
from tests.conftest import LiveServer
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS, KILLS = 12, 2
CODE = """
import boto3, json, os, time
def handle(event, context):
    time.sleep(0.1)
    boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=f"done/{event}", Body=b"")
"""


@pytest.fixture
def mortal(account: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    live = LiveServer(tmp_path_factory.mktemp("mortal-lambda") / "data", {"runner": "process"})
    live.start()
    site = Site(live, account, "process")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


def done(site: Site) -> set[int]:
    listed = site.s3.list_objects_v2(Bucket=site.bucket, Prefix="done/").get("Contents", ())
    return {int(each["Key"].partition("/")[2]) for each in listed}


def test_events_that_were_accepted_are_all_handled(mortal: Site) -> None:
    name = function(mortal, CODE, Environment={"Variables": {"BUCKET": mortal.bucket}}, Timeout=30)
    for number in range(EVENTS):
        mortal.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=str(number).encode())
    for _ in range(KILLS):
        time.sleep(0.7)
        mortal.live.kill()
        mortal.live.start()
    deadline = time.monotonic() + 90
    while len(done(mortal)) < EVENTS and time.monotonic() < deadline:
        time.sleep(0.1)
    assert done(mortal) == set(range(EVENTS))
    assert invoke(mortal, name, 99)[0] is None
    jobs = {path.name for path in (mortal.live.data_dir / "jobs").iterdir()}
    assert len(jobs) <= 5, jobs  # those that run now: what the killed servers had is taken away
