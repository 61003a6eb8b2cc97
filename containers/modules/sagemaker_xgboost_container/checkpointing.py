"""Training that goes on from where it was interrupted."""

from pathlib import Path
from typing import Any

from containers.xgboost import callbacks


def load_checkpoint(checkpoint_dir: str, max_try: int = 5) -> tuple[str | None, int]:
    """Return the newest checkpoint's path and the round to go on with; (None, 0) where there is none."""
    del max_try
    if not checkpoint_dir or not Path(checkpoint_dir).is_dir():
        return None, 0
    newest = callbacks.newest_checkpoint(Path(checkpoint_dir))
    return (None, 0) if newest is None else (str(newest), int(newest.suffix[1:]) + 1)


def train(train_args: dict[str, Any], checkpoint_dir: str) -> Any:
    """Call `xgboost.train(**train_args)`, resumed from and writing to `checkpoint_dir`."""
    import xgboost

    arguments = dict(train_args)
    path, done = load_checkpoint(checkpoint_dir)
    Path(checkpoint_dir).mkdir(parents=True, exist_ok=True)
    steps = [*(arguments.pop("callbacks", None) or []), callbacks.LogLine(done)]
    arguments["callbacks"] = [*steps, callbacks.Checkpoint(Path(checkpoint_dir), done)]
    arguments["num_boost_round"] = max(0, arguments.get("num_boost_round", 10) - done)
    return xgboost.train(**arguments, xgb_model=path, verbose_eval=False)
