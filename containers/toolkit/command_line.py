"""`train` and `serve`: the two words that SageMaker passes to an image, the exit code and the failure file."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from typing import TYPE_CHECKING

from containers.toolkit import gpu
from containers.toolkit.opt_ml import opt_ml

if TYPE_CHECKING:
    from collections.abc import Callable

OK, FAILED = 0, 1


class ClientError(Exception):
    """The user's fault: a hyperparameter, a channel, the data. The failure file reads `ClientError: <sentence>`."""


def main(train: Callable[[], None] | None, serve: Callable[[], None] | None) -> None:
    """Run what the first argument names and leave with its exit code.

    `--base-dir` stands for `/opt/ml` where there is no mount (the same as SAGEMAKER_BASE_DIR).
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["train", "serve"])
    parser.add_argument("--base-dir", help="use this directory in place of /opt/ml")
    arguments, _ = parser.parse_known_args()
    if arguments.base_dir:
        os.environ["SAGEMAKER_BASE_DIR"] = arguments.base_dir
    if {"serve": serve, "train": train}[arguments.mode] is None:
        print(f"this image has nothing of its own for {arguments.mode!r}", file=sys.stderr)
        sys.exit(FAILED)
    if train is not None and arguments.mode == "train":
        sys.exit(run_training(train))
    if serve is not None:
        serve()
    sys.exit(OK)


def run_training(train: Callable[[], None]) -> int:
    """Call `train`; return the exit code, having written the failure file where it failed."""
    try:
        gpu.check()
        train()
    except ClientError as error:
        opt_ml().write_failure(f"ClientError: {error}")
        print(f"ClientError: {error}", file=sys.stderr, flush=True)
        return FAILED
    except Exception as error:  # noqa: BLE001 - whatever it was, the job's failure reason must name it
        trace = traceback.format_exc()
        print(trace, file=sys.stderr, flush=True)
        # The last line of a trace says what happened, and 1,024 characters may not reach it: it goes first.
        opt_ml().write_failure(f"{type(error).__name__}: {error}\n{trace}")
        return FAILED
    return OK
