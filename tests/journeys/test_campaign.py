"""The fault campaign: a server under mixed load is killed again and again, in each phase of a transform job, while a search goes on.

Whatever was acknowledged is there afterwards, once; every job ends; nothing is left running or lying about. `make test`
kills it four times, `make test-full` twenty-five (LOCALMAKER_TEST_KILLS).
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import LiveServer
from tests.journeys.parents import PHASES, Parents
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KILLS = int(os.environ.get("LOCALMAKER_TEST_KILLS", "4"))
PAUSE_S = 0.05
"""Between two writes of a client: without, they take the time from the jobs that the server is killed in the midst of."""
JOB = """
import pathlib, time
for n in range(50):
    print("line", n, flush=True)
    time.sleep(0.01)
pathlib.Path("/opt/ml/model/whole").write_text("whole")
"""


@pytest.fixture
def crashing(tmp_path: Path, account: str) -> Iterator[Site]:
    live = LiveServer(tmp_path / "data", {"runner": "process"})
    live.start()
    site = Site(live, account, "process")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


@dataclass
class Load:
    """Clients that write until they are told to stop, and what the server has acknowledged to them."""

    site: Site
    objects: dict[str, bytes] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def repeat(self, write: Callable[[], None]) -> None:
        """Write again and again; a server that has just died is no failure, any answer of 5xx is one."""
        while not self.stop.is_set():
            try:
                write()
                time.sleep(PAUSE_S)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                    self.unexpected.append(str(error))
            except (BotoCoreError, OSError):
                time.sleep(0.02)

    def put_object(self) -> None:
        """Put an object of random bytes."""
        key, body = f"load/{uuid.uuid4().hex}", os.urandom(random.randrange(40_000))
        self.site.s3.put_object(Bucket=self.site.bucket, Key=key, Body=body)
        self.objects[key] = body

    def create_model(self) -> None:
        """Create a model of a new name."""
        name = f"model-{uuid.uuid4().hex[:10]}"
        container = {"Image": "mine:1"}
        self.site.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.site.role)
        self.models.add(name)

    def send_message(self) -> None:
        """Send a message to moto's queue."""
        text = uuid.uuid4().hex
        sqs = self.site.client("sqs")
        url = sqs.get_queue_url(QueueName="campaign")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=text)
        self.messages.add(text)

    def put_line(self) -> None:
        """Put a log event."""
        text = uuid.uuid4().hex
        event = {"timestamp": int(time.time() * 1000), "message": text}
        self.site.client("logs").put_log_events(logGroupName="campaign", logStreamName="s", logEvents=[event])
        self.lines.append(text)
        time.sleep(0.01)

    def start_job(self) -> None:
        """Start a training job."""
        self.jobs.add(self.site.start(JOB))
        time.sleep(2)


def follow(client: Any, call: str, member: str, **request: Any) -> list[Any]:
    return [item for page in client.get_paginator(call).paginate(**request) for item in page.get(member, ())]


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_doubled_stuck_or_leaked(crashing: Site) -> None:
    site, load, parents, chance = crashing, Load(crashing), Parents(crashing), random.Random(KILLS)
    site.client("sqs").create_queue(QueueName="campaign")
    site.client("logs").create_log_group(logGroupName="campaign")
    site.client("logs").create_log_stream(logGroupName="campaign", logStreamName="s")
    writers = [load.put_object, load.create_model, load.send_message, load.put_line, load.start_job]
    with ThreadPoolExecutor(len(writers)) as threads:
        running = [threads.submit(load.repeat, write) for write in writers]
        try:
            for _, phase in zip(range(KILLS), cycle(PHASES), strict=False):
                parents.reach(phase)
                time.sleep(chance.uniform(0, 0.5))
                done = parents.trials_done()
                site.live.kill()
                site.live.start()
                assert parents.trials_done() >= done
        finally:
            load.stop.set()
        for each in running:
            each.result()
    assert load.unexpected == []
    assert min(map(len, (load.objects, load.models, load.messages, load.lines, load.jobs))) > 0
    assert_all_there(site, load)
    parents.assert_all_there()
    assert_nothing_left(site)


def assert_all_there(site: Site, load: Load) -> None:
    """Compare what the server has with what it has acknowledged; it may have more, where its answer was lost."""
    for key, body in load.objects.items():
        assert site.s3.get_object(Bucket=site.bucket, Key=key)["Body"].read() == body
    assert load.models <= {entry["ModelName"] for entry in follow(site.sagemaker, "list_models", "Models")}
    logged = [e["message"] for e in follow(site.client("logs"), "filter_log_events", "events", logGroupName="campaign")]
    assert set(load.lines) <= set(logged)
    assert len(logged) == len(set(logged))
    sqs = site.client("sqs")
    url, got = sqs.get_queue_url(QueueName="campaign")["QueueUrl"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        got += [message["Body"] for message in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert load.messages <= set(got)
    assert len(got) == len(set(got))
    begun = follow(site.sagemaker, "list_training_jobs", "TrainingJobSummaries", NameContains="job-")
    names = {entry["TrainingJobName"] for entry in begun}
    assert load.jobs <= names
    for name in names:
        job = site.ended(name)
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), site.lines(name))
        assert site.artifact(job) == {"whole": b"whole"}
        assert [line for line in site.lines(name) if line.startswith("line")] == [f"line {n}" for n in range(50)]


def assert_nothing_left(site: Site) -> None:
    """Wait until no process, directory or key of a job is left."""
    marks = f"{site.live.data_dir}/jobs"
    deadline = time.monotonic() + 20
    while True:
        processes = [p for p in psutil.process_iter(["cmdline"]) if marks in " ".join(p.info["cmdline"] or ())]
        folders = list((site.live.data_dir / "jobs").iterdir())
        if not processes and not folders:
            return
        assert time.monotonic() < deadline, (processes, folders)
        time.sleep(0.05)  # other processes: there is nothing to wait on
