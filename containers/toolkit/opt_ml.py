"""The /opt/ml contract as a job sees it (contract: training.md §2, §3). Paths, config files, the failure file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAILURE_CHARACTERS = 1024
"""DescribeTrainingJob shows at most this many characters of the failure file."""


@dataclass(frozen=True)
class Channel:
    """One entry of inputdataconfig.json. `content_type` is None when the request names none; `mode` is File, FastFile or Pipe."""

    name: str
    content_type: str | None
    mode: str
    distribution: str
    record_wrapper: str


@dataclass(frozen=True)
class OptMl:
    """The directory tree that a job finds, `/opt/ml` unless SAGEMAKER_BASE_DIR says otherwise."""

    base: Path

    @property
    def model(self) -> Path:
        """Whatever is left here becomes model.tar.gz."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """Parent of `data` (output.tar.gz) and of the failure file."""
        return self.base / "output"

    @property
    def code(self) -> Path:
        """The user's code in script mode."""
        return self.base / "code"

    def hyperparameters(self) -> dict[str, str]:
        """Return the request's HyperParameters: every value is a string."""
        return {str(k): str(v) for k, v in self._config("hyperparameters.json").items()}

    def channels(self) -> dict[str, Channel]:
        """Return inputdataconfig.json by channel name."""
        return {
            name: Channel(
                name,
                entry.get("ContentType"),
                entry.get("TrainingInputMode", "File"),
                entry.get("S3DistributionType", "FullyReplicated"),
                entry.get("RecordWrapperType", "None"),
            )
            for name, entry in self._config("inputdataconfig.json").items()
        }

    def hosts(self) -> tuple[str, list[str]]:
        """Return this host's name and all hosts, sorted; a lone `algo-1` when there is no resourceconfig.json."""
        resources = self._config("resourceconfig.json")
        hosts = sorted(resources.get("hosts") or ["algo-1"])
        return resources.get("current_host") or hosts[0], hosts

    def channel_path(self, name: str) -> Path:
        """Return the directory of a File or FastFile channel."""
        return self.base / "input" / "data" / name

    def fifo_path(self, name: str, epoch: int) -> Path:
        """Return the FIFO of a Pipe channel; epochs count from 0."""
        return self.base / "input" / "data" / f"{name}_{epoch}"

    def checkpoints(self) -> Path | None:
        """Return the checkpoint directory, or None when the job has none."""
        configured = self._config("checkpointconfig.json").get("LocalPath")
        path = Path(configured) if configured else self.base / "checkpoints"
        return path if path.is_dir() else None

    def write_failure(self, text: str) -> None:
        """Leave the reason for DescribeTrainingJob. A first reason stays: it is the cause, what follows is the consequence."""
        path = self.output / "failure"
        if path.exists() and path.stat().st_size:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[:FAILURE_CHARACTERS], encoding="utf-8")

    def _config(self, name: str) -> dict[str, Any]:
        path = self.base / "input" / "config" / name
        if not path.exists():
            return {}
        document = json.loads(path.read_text(encoding="utf-8"))
        return document if isinstance(document, dict) else {}


def opt_ml() -> OptMl:
    """Return the tree of this process."""
    return OptMl(Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))
