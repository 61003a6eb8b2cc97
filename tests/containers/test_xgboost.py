"""The built-in XGBoost on real data: every format, real accuracy, checkpoints, failures, two hosts, serving."""

from __future__ import annotations

import io
import json
import re
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from containers.toolkit import recordio
from tests.containers.conftest import BINARY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Data, Job, Trained

pytestmark = pytest.mark.slow

LINE = re.compile(r".*\[[0-9]+\].*#011validation-error:(\S+)")


def metric(output: str, pattern: re.Pattern[str] = LINE) -> float:
    """Return the last value of a metric, by the regex of the documented metric definitions; `#011` stands for a tab."""
    return float(re.findall(pattern.pattern.replace("#011", "\t"), output, pattern.flags)[-1])


def libsvm(data: Data, part: slice) -> bytes:
    rows = zip(data.y[part], data.x[part], strict=True)
    return "\n".join(
        " ".join([f"{label:g}", *(f"{i}:{v!r}" for i, v in enumerate(row.tolist()))]) for label, row in rows
    ).encode()


def protobuf(data: Data, part: slice) -> bytes:
    return recordio.framed(
        recordio.encode(row, np.atleast_1d(label)) for label, row in zip(data.y[part], data.x[part], strict=True)
    )


def sparse_protobuf(data: Data, part: slice) -> bytes:
    keys = np.arange(data.x.shape[1])
    return recordio.framed(
        recordio.encode(row, np.atleast_1d(label), keys, data.x.shape[1])
        for label, row in zip(data.y[part], data.x[part], strict=True)
    )


@pytest.mark.parametrize("form", ["libsvm", "protobuf", "sparse protobuf", "parquet"])
def test_every_format_trains_the_same_model(
    form: str,
    job: Job,
    python: Callable[[str], Path],
    data_set: Callable[[str], Data],
    trained: Callable[[str], Trained],
) -> None:
    data = data_set("breast_cancer")
    parts = {"train": slice(None, data.split), "validation": slice(data.split, None)}
    content_type = {
        "libsvm": None, "protobuf": "application/x-recordio-protobuf",
        "sparse protobuf": "application/x-recordio-protobuf", "parquet": "application/x-parquet",
    }[form]  # fmt: skip
    encoded: dict[str, Callable[[Data, slice], bytes]] = {
        "libsvm": libsvm, "protobuf": protobuf, "sparse protobuf": sparse_protobuf,
        "parquet": lambda d, p: parquet(python("xgboost"), d, p),
    }  # fmt: skip
    job.write(BINARY, {name: {"part-0": encoded[form](data, part)} for name, part in parts.items()}, content_type)
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    from_csv = trained("binary")
    for printed, model in ((done.stdout, job.base / "model"), (from_csv.stdout, from_csv.model)):
        assert metric(printed) < 0.06
        assert sorted(path.name for path in model.iterdir()) == ["model.onnx", "xgboost-model"]


def parquet(python: Path, data: Data, part: slice) -> bytes:
    source = (
        "import sys, io, numpy as np, pyarrow as pa, pyarrow.parquet as pq\n"
        "t = np.load(io.BytesIO(sys.stdin.buffer.read()))\n"
        "pq.write_table(pa.table({f'c{i:03}': t[:, i] for i in range(t.shape[1])}), sys.stdout.buffer)\n"
    )
    buffer = io.BytesIO()
    np.save(buffer, np.column_stack([data.y, data.x])[part])
    return subprocess.run(
        [python, "-c", source], input=buffer.getvalue(), capture_output=True, check=True, timeout=60
    ).stdout


def test_missing_values_directories_and_weights(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("diabetes")
    lines = data.csv("train").decode().splitlines()
    weighted = [re.sub(r"^([^,]+),", r"\1,1.0,", line) for line in lines]
    holes = [re.sub(r",[^,]+$", ",", line) if i % 3 == 0 else line for i, line in enumerate(weighted)]
    files = {"a/1.csv": "\n".join(holes[:150]).encode(), "b/2.csv": "\n".join(holes[150:]).encode()}
    job.write({"num_round": "20", "csv_weights": "1", "eta": "0.2", "nthread": "1"}, {"train": files}, "text/csv")
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    assert f"Train matrix has {data.split} rows and 10 columns" in done.stdout
    spread = float(data.y[: data.split].std())
    assert metric(done.stdout, re.compile(r"\[19\]#011train-rmse:(\S+)")) < spread / 2


@pytest.mark.parametrize("form", ["protobuf", "parquet"])
def test_pipe_mode_reads_the_fifo_of_epoch_0(
    form: str, job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    import os

    data = data_set("breast_cancer")
    whole = slice(None)
    body = protobuf(data, whole) if form == "protobuf" else parquet(python("xgboost"), data, whole)
    content_type = "application/x-recordio-protobuf" if form == "protobuf" else "application/x-parquet"
    job.write(BINARY, {"train": {}}, content_type, TrainingInputMode="Pipe")
    fifo = job.base / "input" / "data" / "train_0"
    fifo.parent.mkdir(parents=True)
    os.mkfifo(fifo)
    feeder = threading.Thread(target=fifo.write_bytes, args=(body,), daemon=True)
    feeder.start()
    done = job.train(python("xgboost"), "xgboost")
    feeder.join(5)
    assert done.returncode == 0, done.stderr
    assert metric(done.stdout, re.compile(r"#011train-error:(\S+)")) < 0.02


def test_libsvm_in_pipe_mode_is_refused(job: Job, python: Callable[[str], Path]) -> None:
    job.write(BINARY, {"train": {}}, "text/libsvm", TrainingInputMode="Pipe")
    assert job.train(python("xgboost"), "xgboost").returncode == 1
    assert job.failure.startswith("ClientError: Channel configuration for 'train' channel is not supported: {")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_round": "ten"}, "Hyperparameter num_round: could not parse value, expected an integer"),
        ({"depth": "3"}, "Extraneous hyperparameter found: depth"),
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
    ],
)
def test_a_wrong_hyperparameter_fails_with_a_client_error(
    change: dict[str, str], sentence: str, job: Job, python: Callable[[str], Path]
) -> None:
    job.write(BINARY | change, {"train": {"a.csv": b"0,1\n1,2"}}, "text/csv")
    assert job.train(python("xgboost"), "xgboost").returncode == 1
    assert job.failure.startswith(f"ClientError: {sentence}")


def test_labels_that_the_objective_cannot_have_are_a_client_error(job: Job, python: Callable[[str], Path]) -> None:
    job.write(BINARY, {"train": {"a.csv": b"5,1\n7,2\n"}}, "text/csv")
    assert job.train(python("xgboost"), "xgboost").returncode == 1
    assert job.failure.startswith("ClientError: ")
    assert "label must be in [0,1]" in job.failure


def test_checkpoints_resume_to_the_same_model(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.containers.conftest import Job as NewJob

    channels = {"train": {"a.csv": data_set("breast_cancer").csv("train")}}
    whole = NewJob(tmp_path_factory.mktemp("whole"))
    whole.write(BINARY | {"num_round": "8"}, channels, "text/csv")
    assert whole.train(python("xgboost"), "xgboost").returncode == 0

    (job.base / "checkpoints").mkdir()
    job.write(BINARY | {"num_round": "3"}, channels, "text/csv")
    assert job.train(python("xgboost"), "xgboost").returncode == 0
    job.write(BINARY | {"num_round": "8"}, channels, "text/csv")
    done = job.train(python("xgboost"), "xgboost")
    assert "Resuming from xgboost-checkpoint.2: 3 of 8 rounds are done" in done.stdout
    assert re.findall(r"^\[(\d+)\]", done.stdout, re.MULTILINE) == ["3", "4", "5", "6", "7"]
    kept = sorted(path.name for path in (job.base / "checkpoints").iterdir())
    assert kept == [f"xgboost-checkpoint.{n}" for n in range(3, 8)]
    assert (job.base / "model" / "model.onnx").read_bytes() == (whole.base / "model" / "model.onnx").read_bytes()


def test_early_stopping_keeps_the_best_round(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("diabetes")
    job.write(
        {"num_round": "500", "early_stopping_rounds": "5", "eval_metric": "mae,rmse", "nthread": "1"},
        {"train": {"a.csv": data.csv("train")}, "validation": {"a.csv": data.csv("validation")}},
        "text/csv",
    )
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    scores = [float(score) for score in re.findall(r"validation-rmse:(\S+)", done.stdout)]
    assert len(scores) < 500
    assert int(np.argmin(scores)) == len(scores) - 6


def test_kfold_leaves_a_model_per_fold(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("iris")
    settings = {
        "num_round": "10",
        "objective": "multi:softprob",
        "num_class": "3",
        "_kfold": "3",
        "eval_metric": "accuracy",
    }
    job.write(
        settings, {"train": {"a.csv": data.csv("train")}, "validation": {"a.csv": data.csv("validation")}}, "text/csv"
    )
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (job.base / "model").iterdir()) == [f"xgboost-model-{fold}" for fold in range(3)]
    assert metric(done.stdout, re.compile(r"^\[10\].*validation-accuracy:(\S+)", re.MULTILINE)) > 0.9
    rows = np.loadtxt(job.base / "output" / "data" / "predictions.csv", delimiter=",")
    assert rows.shape == (len(data.y), 3)
    assert sorted(rows[:, 0]) == sorted(data.y)
    assert np.mean(rows[:, 0] == rows[:, 2]) > 0.9


def test_two_hosts_train_one_model(
    python: Callable[[str], Path], data_set: Callable[[str], Data], tmp_path: Path
) -> None:
    from tests.containers.conftest import Job as NewJob

    data = data_set("breast_cancer")
    lines = data.csv("train").splitlines()
    hosts = ["127.0.0.1", "127.0.0.2"]
    jobs = [NewJob(tmp_path / host, {"TRAINING_JOB_NAME": tmp_path.name + str(time.time_ns())}) for host in hosts]
    jobs[1].environment.update(jobs[0].environment)
    for number, (host, each) in enumerate(zip(hosts, jobs, strict=True)):
        each.base.mkdir()
        each.write(
            BINARY,
            {"train": {"a.csv": b"\n".join(lines[number::2])}, "validation": {"a.csv": data.csv("validation")}},
            "text/csv",
        )
        (each.base / "input/config/resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": hosts}))
    done: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda n=n: done.update({n: jobs[n].train(python("xgboost"), "xgboost", 90)}))
        for n in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done[n].returncode for n in (0, 1)] == [0, 0], done[0].stderr + done[1].stderr
    assert metric(done[0].stdout) < 0.07
    assert "[0]" not in done[1].stdout
    assert (jobs[0].base / "model" / "xgboost-model").exists()
    assert not any((jobs[1].base / "model").iterdir())


def test_script_mode_runs_the_users_script(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    job.script(
        "import argparse, os, numpy as np, xgboost\n"
        "p = argparse.ArgumentParser(); p.add_argument('--rounds', type=int); a = p.parse_args()\n"
        "t = np.loadtxt(os.environ['SM_CHANNEL_TRAIN'] + '/a.csv', delimiter=',')\n"
        "b = xgboost.train({'objective': 'binary:logistic'}, xgboost.DMatrix(t[:, 1:], label=t[:, 0]), a.rounds)\n"
        "b.save_model(os.environ['SM_MODEL_DIR'] + '/model.json'); print('rounds', b.num_boosted_rounds())\n"
    )
    settings = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": json.dumps(str(job.base / "submitted")),
        "rounds": "7",
    }
    job.write(settings, {"train": {"a.csv": data_set("breast_cancer").csv("train")}})
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    assert "rounds 7" in done.stdout
    assert (job.base / "model" / "model.json").exists()
