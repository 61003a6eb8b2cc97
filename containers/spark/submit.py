"""`smspark-submit`: what the image of SageMaker's Spark has in place of `spark-submit`, for one host.

Its options are those that the SDK passes (sagemaker-python-sdk, spark/processing.py; aws/sagemaker-spark-container). A folder
given for jars, Python files or files means all files in it. `configuration.json` is EMR's form of a configuration.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIGURATION = "processing/input/conf/configuration.json"
HADOOP = ("core-site", "hdfs-site", "mapred-site", "yarn-site")
LOCAL = {
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}
"""One host: nothing needs to reach the driver, and nothing watches it."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options; what follows the application is its own."""
    made = argparse.ArgumentParser(prog="smspark-submit", allow_abbrev=False)
    made.add_argument("--class", dest="main_class")
    for name in ("--jars", "--py-files", "--files"):
        made.add_argument(name)
    made.add_argument("--local-spark-event-logs-dir")
    made.add_argument("--spark-event-logs-s3-uri")
    made.add_argument("-v", "--verbose", action="store_true")
    made.add_argument("application")
    made.add_argument("arguments", nargs=argparse.REMAINDER)
    return made


def files_of(listed: str) -> str:
    """Return a list of paths with commas, in which every folder stands for the files in it."""
    paths = (Path(part) if part.startswith("/") else None for part in listed.split(","))
    expanded = (
        sorted(str(file) for file in path.iterdir() if file.is_file()) if path is not None and path.is_dir() else [part]
        for path, part in zip(paths, listed.split(","), strict=True)
    )
    return ",".join(file for files in expanded for file in files)


def settings_of(configuration: Any) -> Iterator[tuple[str, str]]:
    """Yield Spark's settings of a configuration; a line says which classification is left out."""
    for entry in configuration if isinstance(configuration, list) else [configuration]:
        kind, properties = entry["Classification"], entry.get("Properties", {})
        if kind == "spark-defaults":
            yield from properties.items()
        elif kind in HADOOP:
            yield from ((f"spark.hadoop.{key}", value) for key, value in properties.items())
        elif kind == "spark-env":
            for inner in entry.get("Configurations", ()):
                os.environ.update(inner.get("Properties", {}))
        else:
            print(f"LocalMaker: the configuration {kind} is left out", file=sys.stderr)


def command(given: argparse.Namespace, home: Path, opt_ml: Path) -> list[str]:
    """Return the spark-submit command of what was given."""
    settings = dict(LOCAL)
    if given.local_spark_event_logs_dir:
        logs = given.local_spark_event_logs_dir
        settings |= {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{logs}"}
    configuration = opt_ml / CONFIGURATION
    if configuration.exists():
        settings |= dict(settings_of(json.loads(configuration.read_text())))
    made = [str(home / "bin" / "spark-submit"), "--master", "local[*]"]
    for name, value in settings.items():
        made += ["--conf", f"{name}={value}"]
    if given.main_class:
        made += ["--class", given.main_class]
    for option in ("jars", "py_files", "files"):
        if getattr(given, option):
            made += [f"--{option.replace('_', '-')}", files_of(getattr(given, option))]
    return [*made, *(["--verbose"] if given.verbose else []), given.application, *given.arguments]


def main(arguments: Sequence[str]) -> None:
    """Become spark-submit. Leaves with 1 and a sentence where Spark cannot run."""
    given = parser().parse_args(arguments)
    opt_ml = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    hosts = json.loads((opt_ml / "config" / "resourceconfig.json").read_text())["hosts"]
    if len(hosts) > 1:
        sys.exit(f"LocalMaker's Spark runs on one host; this job has {len(hosts)}.")
    if shutil.which("java") is None:
        sys.exit("Spark needs a Java runtime, and this machine has none: install one (Debian: default-jre-headless).")
    module = importlib.util.find_spec("pyspark")
    assert module is not None
    assert module.origin is not None
    home = Path(module.origin).parent
    os.environ |= {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    if given.local_spark_event_logs_dir:
        Path(given.local_spark_event_logs_dir).mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    words = command(given, home, opt_ml)
    os.execv(words[0], words)  # noqa: S606 - no shell
