"""Bytes in, numbers out: RecordIO, protobuf records, CSV, libsvm; and the hyperparameters' table. Nothing to install."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from containers.toolkit import recordio, tables
from containers.toolkit.command_line import ClientError, run_training
from containers.toolkit.opt_ml import OptMl
from containers.xgboost.hyperparameters import checked, is_maximized
from containers.xgboost.metrics import METRICS

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_frames_come_back_and_are_aligned(payloads: list[bytes]) -> None:
    data = recordio.framed(payloads)
    assert len(data) % 4 == 0
    assert list(recordio.frames(data)) == payloads


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=FLOATS), FLOATS)
def test_dense_records_come_back(row: np.ndarray, label: float) -> None:
    record = recordio.decode(recordio.encode(row, np.atleast_1d(np.float32(label))))
    np.testing.assert_array_equal(record.features.values, row)
    assert record.features.keys is None
    assert record.label is not None
    assert record.label[0] == np.float32(label)


@given(st.dictionaries(st.integers(0, 2**40), FLOATS, max_size=9))
def test_sparse_records_come_back(entries: dict[int, float]) -> None:
    keys = np.asarray(list(entries), np.int64)
    record = recordio.decode(recordio.encode(np.asarray(list(entries.values()), np.float32), None, keys, 2**40 + 1))
    assert record.features.columns == (2**40 + 1 if entries else None) or not entries
    assert record.label is None
    if entries:
        np.testing.assert_array_equal(record.features.keys, keys)


def test_a_record_as_the_protobuf_compiler_would_write_it() -> None:
    """Bytes made by protoc's rules by hand: float64 values unpacked, int32 negative label."""
    value = bytes([0x09]) + struct.pack("<d", 2.5)
    features = bytes([0x1A, len(value)]) + value
    entry = b"\x0a\x06values" + bytes([0x12, len(features)]) + features
    number = b"\xff" * 9 + b"\x01"
    tensor = bytes([0x0A, len(number)]) + number
    label_value = bytes([0x3A, len(tensor)]) + tensor
    label = b"\x0a\x06values" + bytes([0x12, len(label_value)]) + label_value
    record = recordio.decode(bytes([0x0A, len(entry)]) + entry + bytes([0x12, len(label)]) + label)
    assert record.features.values.tolist() == [2.5]
    assert record.label is not None
    assert record.label.tolist() == [-1]


@given(st.binary(max_size=60))
def test_garbage_is_a_value_error(data: bytes) -> None:
    for function in (recordio.records, recordio.decode):
        try:
            function(data)
        except (ValueError, UnicodeDecodeError):
            continue


def test_csv_with_every_delimiter_holes_and_line_ends() -> None:
    for text in (b"1,2,3\n4,5,6\n", b"1;2;3\r\n4;5;6", b"1\t2\t3\n4\t5\t6\n\n", "\ufeff1 2 3\n4 5 6".encode()):
        np.testing.assert_array_equal(tables.csv(text), [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(tables.csv(b"1,,3\n,5,\n"), [[1, np.nan, 3], [np.nan, 5, np.nan]])
    long = b"\n".join([b"1,,3"] * 5000)
    assert tables.csv(long).shape == (5000, 3)
    assert np.isnan(tables.csv(long)[:, 1]).all()
    for wrong in (b"", b"label,x\n1,2", b"1,2\n3"):
        with pytest.raises(ValueError, match=r"."):
            tables.csv(wrong)


def test_libsvm_labels_weights_groups_and_comments() -> None:
    rows = tables.libsvm(b"1 0:1.5 3:2 # first\n\n0 1:-1e3\n-1\n")
    assert rows.labels.tolist() == [1, 0, -1]
    np.testing.assert_array_equal(
        rows.dense(4), [[1.5, np.nan, np.nan, 2], [np.nan, -1000, np.nan, np.nan], [np.nan] * 4]
    )
    ranked = tables.libsvm(b"1:0.5 qid:3 0:1\n0:2 qid:4 1:1")
    assert ranked.weights is not None
    assert ranked.qid is not None
    assert (ranked.weights.tolist(), ranked.qid.tolist(), ranked.labels.tolist()) == ([0.5, 2], [3, 4], [1, 0])
    for wrong in (b"1,2,3", b"1 a:2", b"", b"1 0:1\n0 qid:1 0:1", b"1 -3:1"):
        with pytest.raises(ValueError, match=r"."):
            tables.libsvm(wrong)
    with pytest.raises(ValueError, match="beyond the 2 features"):
        tables.libsvm(b"1 5:1").dense(2)


def test_hyperparameters_get_their_types_and_names() -> None:
    values = checked(
        {"num_round": "5", "learning_rate": "0.1", "eval_metric": "auc, error@0.7", "objective": "binary:logistic"}
    )
    assert values == {"num_round": 5, "eta": 0.1, "eval_metric": ["auc", "error@0.7"], "objective": "binary:logistic"}
    assert is_maximized("ndcg@5")
    assert not is_maximized("mse")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"num_round": "0"}, r"num_round: value 0 is not in range \[1, inf\)"),
        ({"eta": "1.5"}, r"eta: value 1.5 is not in range \[0, 1\]"),
        ({"subsample": "0"}, r"subsample: value 0 is not in range \(0, 1\]"),
        ({"eta": "nan"}, "eta: value nan is not in range"),
        ({"booster": "forest"}, "booster: value forest is not one of: gbtree, gblinear, dart"),
        ({"unknown": "1"}, "Extraneous hyperparameter found: unknown"),
        ({"objective": "multi:softprob"}, "Require input for parameter 'num_class'"),
        ({"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
        ({"eval_metric": "auc"}, "Metric 'auc' can only be applied"),
        ({"eval_metric": "rmse@3"}, "only 'error', 'ndcg' and 'map' take a threshold"),
        ({"eval_metric": "speed"}, "eval_metric: value speed is not one of the supported"),
        ({"updater": "grow_colmaker,grow_histmaker"}, "Only one tree grow plugin"),
        ({"updater": "prune,shotgun"}, "Tree updater should be selected"),
        ({"booster": "gblinear", "updater": "prune"}, "Linear updater should be one of"),
        ({"process_type": "update", "updater": "grow_colmaker"}, "process_type 'update' can only"),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when"),
        ({"monotone_constraints": "(1,5)", "tree_method": "hist"}, "is not a tuple of allowed integers"),
        ({"interaction_constraints": "[[1,2],3]", "tree_method": "hist"}, "is not a nested list"),
        ({"interaction_constraints": "__import__('os')", "tree_method": "hist"}, "could not parse value"),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused(given: dict[str, str], sentence: str) -> None:
    complete = given if given == {} else {"num_round": "1", **given}
    with pytest.raises(ClientError, match=sentence):
        checked(complete)


def test_metrics_by_hand() -> None:
    label = np.asarray([0, 0, 1, 1, 1])
    said = np.asarray([0, 1, 1, 1, 0])
    figures = {name: round(METRICS[name](said, label), 6) for name in METRICS}
    assert figures["accuracy"] == 0.6
    assert figures["precision"] == figures["recall"] == figures["f1_binary"] == round(2 / 3, 6)
    assert figures["balanced_accuracy"] == figures["recall_macro"] == round((1 / 2 + 2 / 3) / 2, 6)
    assert figures["f1_macro"] == figures["f1"] == round((1 / 2 + 2 / 3) / 2, 6)
    assert figures["precision_micro"] == 0.6
    assert METRICS["mse"](np.asarray([1.0, 3.0]), np.asarray([1.0, 1.0])) == 2
    assert METRICS["r2"](np.asarray([1.0, 2.0, 3.0]), np.asarray([1.0, 2.0, 3.0])) == 1


def test_the_first_failure_stays_and_is_cut(tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = OptMl(tmp_path_factory.mktemp("opt"))
    tree.write_failure("x" * 3000)
    tree.write_failure("later")
    assert (tree.output / "failure").read_text() == "x" * 1024


def test_a_job_that_asked_for_gpus_does_not_run_without(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = OptMl(tmp_path_factory.mktemp("opt"))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tree.base))
    monkeypatch.setenv("LOCALMAKER_REQUIRED_GPUS", "99")
    trained: list[bool] = []
    assert run_training(lambda: trained.append(True)) == 1
    assert trained == []
    assert (tree.output / "failure").read_text().startswith("CapacityError: the job was given 99 GPU(s) and sees ")
    monkeypatch.delenv("LOCALMAKER_REQUIRED_GPUS")
    assert run_training(lambda: trained.append(True)) == 0
