"""`smspark-submit` becomes the spark-submit command that is meant (Spark itself runs in tests/sdk's long run)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from containers.spark.submit import CONFIGURATION, command, files_of, parser

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    for name in ("b.py", "a.py"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    assert files_of(f"s3://bucket/x.py,{tmp_path}") == f"s3://bucket/x.py,{tmp_path}/a.py,{tmp_path}/b.py"


def test_options_and_configuration_become_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = tmp_path / CONFIGURATION
    configuration.parent.mkdir(parents=True)
    entries = [
        {"Classification": "spark-defaults", "Properties": {"spark.x": "1"}},
        {"Classification": "core-site", "Properties": {"io.y": "2"}},
        {"Classification": "spark-log4j", "Properties": {"z": "3"}},
    ]
    configuration.write_text(json.dumps(entries))
    given = [
        "--local-spark-event-logs-dir",
        "/logs",
        "--class",
        "a.B",
        "--jars",
        "s3://b/j.jar",
        "app.jar",
        "--class",
        "-v",
    ]
    made = command(parser().parse_args(given), Path("/spark"), tmp_path)
    assert made[:3] == ["/spark/bin/spark-submit", "--master", "local[*]"]
    settings = [made[n + 1] for n, word in enumerate(made) if word == "--conf"]
    assert {"spark.x=1", "spark.hadoop.io.y=2", "spark.eventLog.dir=file:///logs"} <= set(settings)
    assert made[-7:] == ["--class", "a.B", "--jars", "s3://b/j.jar", "app.jar", "--class", "-v"]
    assert "spark-log4j is left out" in capsys.readouterr().err


def test_several_hosts_are_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/resourceconfig.json").write_text('{"hosts": ["algo-1", "algo-2"]}')
    done = subprocess.run(
        [sys.executable, "-m", "containers.spark", "smspark-submit", "x.py"],
        cwd=ROOT, env={**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "LocalMaker's Spark runs on one host; this job has 2.\n")
