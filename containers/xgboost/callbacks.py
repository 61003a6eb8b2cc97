"""What happens after each round: the log line, a checkpoint, a model that survives a stop."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any

from xgboost import collective
from xgboost.callback import TrainingCallback

from containers.xgboost.release import release

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT = "xgboost-checkpoint"
KEPT_CHECKPOINTS = 5
SAVED_NATIVELY = (1, 3, 1)
"""First release whose artifact is no pickle."""


class LogLine(TrainingCallback):  # type: ignore[misc]
    r"""Print `[3]\ttrain-rmse:1.00000\tvalidation-rmse:2.00000`, the line that metric definitions match.

    CloudWatch shows the tab as `#011`. Several hosts compute the same figures, so the first one speaks.
    """

    def __init__(self, first_round: int) -> None:
        super().__init__()
        self._first_round = first_round

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
        """Print and go on."""
        del model
        if collective.get_rank() == 0:
            scores = [
                f"{data}-{metric}:{(values[-1][0] if isinstance(values[-1], tuple) else values[-1]):.5f}"
                for data, metrics in evals_log.items()
                for metric, values in metrics.items()
            ]
            print("\t".join([f"[{self._first_round + epoch}]", *scores]), flush=True)
        return False


class Checkpoint(TrainingCallback):  # type: ignore[misc]
    """Store the model as `xgboost-checkpoint.<round>` after each round; the last five are kept."""

    def __init__(self, directory: Path, first_round: int) -> None:
        super().__init__()
        self._directory = directory
        self._first_round = first_round

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Store and go on."""
        del evals_log
        _store(model, self._directory / f"{CHECKPOINT}.{self._first_round + epoch}")
        for _, path in _checkpoints(self._directory)[:-KEPT_CHECKPOINTS]:
            path.unlink()
        return False


class KeepModel(TrainingCallback):  # type: ignore[misc]
    """Store the model in place after each round, so that a stopped job has one (`save_model_on_termination`)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Store and go on."""
        del epoch, evals_log
        store_artifact(model, self._path)
        return False


def newest_checkpoint(directory: Path) -> Path | None:
    """Return the checkpoint of the highest round, or None."""
    checkpoints = _checkpoints(directory)
    return checkpoints[-1][1] if checkpoints else None


def _checkpoints(directory: Path) -> list[tuple[int, Path]]:
    matches = ((re.fullmatch(rf"{CHECKPOINT}\.(\d+)", path.name), path) for path in directory.iterdir())
    return sorted((int(match.group(1)), path) for match, path in matches if match)


def store_artifact(model: Any, path: Path) -> None:
    """Write the model as the release does, whole or not at all: pickled up to 1.2-2, since then as the library saves it (UBJSON)."""
    _write(path, pickle.dumps(model, protocol=4) if release() < SAVED_NATIVELY else model.save_raw("ubj"))


def _store(model: Any, path: Path) -> None:
    _write(path, model.save_raw("ubj"))


def _write(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(body)
    temporary.rename(path)
