"""What scripts import in the real images: there, true, or a sentence (`containers/modules`)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMDEBUG = """
import pathlib, sys
import smdebug, smdebug.pytorch as smd
from smdebug import SaveConfig, ReductionConfig, CollectionKeys
from smdebug.xgboost import Hook, get_hook

def said(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(kind)

assert get_hook() is None and smd.get_hook() is None and smd.get_hook(create_if_not_exists=True) is None
said(FileNotFoundError, smd.Hook.create_from_json_file, "debughookconfig.json", "None as on AWS where Debugger is off")
said(NotImplementedError, lambda: Hook(out_dir="/tmp/x", save_config=SaveConfig(save_interval=5)), "records no tensors")
given = pathlib.Path(sys.argv[1]) / "hook.json"
given.write_text("{}")
said(smdebug.exceptions.SMDebugError, lambda: get_hook(str(given)), "records no tensors")
said(NotImplementedError, lambda: smd.create_trial("s3://b/t"), "no trial at s3://b/t")
said(ValueError, lambda: ReductionConfig(reductions=["most"]), "can only be one of")
def rules():
    import smdebug.rules
said(ImportError, rules, "smdebug.rules is not in this image")
config = SaveConfig(save_interval=2, start_step=4, end_step=8, save_steps=[1])
assert [s for s in range(10) if config.should_save_step(smd.modes.TRAIN, s)] == [1, 4, 6]
assert SaveConfig().get_save_config(smd.modes.EVAL).save_interval == 500 and CollectionKeys.LOSSES == "losses"
"""
MLIO = """
import pathlib, sys, numpy as np, scipy.sparse
import mlio
from mlio.integ.numpy import as_numpy
from mlio.integ.scipy import to_coo_matrix
from containers.toolkit import recordio
base = pathlib.Path(sys.argv[1])
(base / "pipe_0").write_bytes(b"1,2\\n3,4\\n5,6\\n")
params = mlio.DataReaderParams(dataset=[mlio.SageMakerPipe(str(base / "pipe"))], batch_size=2)
examples = list(mlio.CsvReader(params, mlio.CsvParams(header_row_index=None)))
assert [np.array([as_numpy(column) for column in e]).T.tolist() for e in examples] == [[[1, 2], [3, 4]], [[5, 6]]]
row, label = np.float32([7, 8]), np.float32([1])
dense = recordio.framed([recordio.encode(row, label)] * 3)
reader = mlio.RecordIOProtobufReader(mlio.DataReaderParams([mlio.InMemoryStore(dense)], 100))
assert type(reader.peek_example()["values"]) is mlio.DenseTensor
assert as_numpy(reader.read_example()["label_values"]).tolist() == [[1], [1], [1]] and reader.peek_example() is None
(base / "data").mkdir()
(base / "data" / "a").write_bytes(recordio.framed([recordio.encode(row, label, np.asarray([0, 5]), 9)]))
sparse = next(iter(mlio.RecordIOProtobufReader(mlio.DataReaderParams(mlio.list_files(str(base / "data")), 10))))["values"]
assert to_coo_matrix(sparse).toarray().tolist() == [[7, 0, 0, 0, 0, 8, 0, 0, 0]]
try:
    mlio.ParquetRecordReader
except AttributeError as error:
    assert "is not in this image" in str(error)
"""
TRAINING = """
import sagemaker_training
from sagemaker_training import entry_point, environment, errors, intermediate_output, logging_config, mpi, params, runner, trainer
from sagemaker_containers.beta.framework import encoders
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", [SMDEBUG, MLIO, TRAINING], ids=["smdebug", "mlio", "sagemaker_training"])
def test_modules_of_the_images_are_true_or_say_what_they_lack(
    source: str, python: Callable[[str], Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        [python("xgboost"), "-P", "-c", source, tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
