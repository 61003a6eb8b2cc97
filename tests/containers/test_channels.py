"""Channels of the built-in XGBoost: which files a release reads, libsvm's head and leniency, CSV in a pipe, Parquet of pandas."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from containers.toolkit.command_line import ClientError
from containers.xgboost import data, libsvm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Job


@pytest.mark.parametrize(
    ("tag", "read"),
    [
        ("1.7-1", ["a.csv", "l/b.csv", "l/m/c.csv"]),
        ("3.0-5", ["a.csv", "l/b.csv", "l/m/c.csv"]),
        ("1.5-1", ["l/m/n/d.csv"]),
    ],
)
def test_folders_by_release(
    tag: str, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCALMAKER_IMAGE_TAG", tag)
    for name in ("a.csv", "l/b.csv", "l/m/c.csv", "l/m/n/d.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0,1")
    assert [str(path.relative_to(tmp_path)) for path in data.files(tmp_path)] == read
    assert "are not read" in capsys.readouterr().out
    (tmp_path / "l" / "m" / "n" / ".DS_Store").write_text("")
    with pytest.raises(ClientError, match="Hidden file found in the data path! Remove that before training"):
        data.files(tmp_path)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1 0:1 2:3\nanything", True), ("1:0.5 0:1 2:3", True), ("-1\n+1\n0 1:1 2:2\n", True), ("1 qid:3 0:1", True),
        ("1,2,3", False), ("y a:1 b:2", False), ("1 0:1 2:3 \n", False), ("1  0:1 2:3", False), ("# no\n1 0:1 1:1", False),
        ("1 0:1:2 3:4", False), ("1\tq 0:1", False), ("\n1 0:1 1:2", False), ("1 0:1 1:2\r\n1,2", True),
    ],
)  # fmt: skip
def test_the_head_of_a_libsvm_file(text: str, good: bool) -> None:
    if good:
        libsvm.check_head("train/a.svm", text.encode())
        return
    with pytest.raises(ClientError, match=r"(?s)^First line '.*\.\.\.' of file 'a.svm' is not 'LIBSVM' format. Please"):
        libsvm.check_head("train/a.svm", text.encode())


def test_what_follows_is_read_as_the_library_reads_it() -> None:
    rows = libsvm.rows(b"1 0:1 2:3\n\nnothing\n0 x 1:2, 4:5 # 9:9\n2 \t 3:1e1\n")
    assert rows.labels.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(np.nan_to_num(rows.dense(5)), [[1, 0, 3, 0, 0], [0, 2, 0, 0, 5], [0, 0, 0, 10, 0]])
    assert libsvm.rows(b"1 3 5\n0 2\n").dense(6)[0, [3, 5]].tolist() == [1, 1]
    for wrong in (b"1 0:1 2\n", b"1:2 0:1 x\n1 0:1 x", b"# only", b"1 -1:3 x"):
        with pytest.raises(ValueError, match=r"."):
            libsvm.rows(wrong)


def test_csv_in_a_pipe_has_numbers_only() -> None:
    assert data._part(data.CSV, "train", b"1,2\n,3\n".replace(b"\n,", b"\n0,"), csv_weights=False, piped=True)
    for body in (b"y,a\n1,2", b"1,word"):
        assert data._part(data.CSV, "train", body, csv_weights=False)
        with pytest.raises(ClientError, match=r"^Failed to load csv data with exception:\n"):
            data._part(data.CSV, "train", body, csv_weights=False, piped=True)


PANDAS = """
import io, pandas, numpy
from containers.xgboost import data
frame = pandas.DataFrame({"y": [0, 1, 1], "a": [1.5, None, 2], "b": [1, 2, 3]}, index=["k", "l", "m"])
body = io.BytesIO()
frame.to_parquet(body)
part = data._part(data.PARQUET, "p", body.getvalue(), csv_weights=False)
assert part["dense"].shape == (3, 2) and part["label"].tolist() == [0, 1, 1], part
frame["b"] = ["x", "y", "z"]
body = io.BytesIO()
frame.to_parquet(body)
try:
    data._part(data.PARQUET, "p", body.getvalue(), csv_weights=False)
except data.ClientError as error:
    assert str(error).startswith("Failed to load parquet data with exception:"), error
else:
    raise AssertionError
"""


@pytest.mark.slow
def test_the_index_of_pandas_is_no_feature(python: Callable[[str], Path]) -> None:
    done = subprocess.run([python("xgboost"), "-P", "-c", PANDAS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_records_without_labels_are_told(job: Job, python: Callable[[str], Path]) -> None:
    from containers.toolkit import recordio

    body = recordio.framed([recordio.encode(np.asarray([1, 2], np.float32))] * 3)
    job.write({"num_round": "1"}, {"train": {"a": body}}, "application/x-recordio-protobuf")
    assert job.train(python("xgboost"), "xgboost").returncode == 1
    assert job.failure.startswith("ClientError: Got input data without labels. Please check the input data set. ")
