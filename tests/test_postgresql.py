"""The same tests on a real PostgreSQL: kernel, records, the door, jobs, objects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgresql

ROOT = Path(__file__).parents[1]
SAME_TESTS = (
    "tests/core",
    "tests/models",
    "tests/server/test_gateway.py",
    "tests/aws/test_iam.py",
    "tests/aws/ecr/test_images.py",
    "tests/aws/ecr/test_registry.py",
    "tests/aws/s3/test_buckets.py",
    "tests/aws/s3/test_objects.py",
    "tests/aws/s3/test_lifecycle.py",
    "tests/aws/s3/test_multipart.py",
    "tests/aws/s3/test_notifications.py",
    "tests/aws/s3/test_versions.py",
    "tests/aws/cloudwatch/test_alarms.py",
    "tests/aws/logs/test_filters.py",
    "tests/aws/moto",
    "tests/training/test_operations.py",
    "tests/jobs/test_queue.py::test_a_reset_ends_running_jobs_and_leaves_nothing",
)
NOT_THESE = ("--ignore=tests/core/test_prepared.py",)  # about SQLite's driver


@pytest.mark.slow
@pytest.mark.skipif(postgresql.programs() is None, reason="PostgreSQL is not installed")
@pytest.mark.skipif(postgresql.is_wanted(), reason="this is the run on PostgreSQL")
def test_the_same_tests_pass_on_postgresql() -> None:
    environment = {**os.environ, postgresql.VARIABLE: "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NOT_THESE, *SAME_TESTS]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:]
    print(ran.stdout.splitlines()[-1])  # noqa: T201 - how many, for whoever reads the log
