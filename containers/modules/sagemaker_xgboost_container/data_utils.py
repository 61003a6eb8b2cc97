"""From files to a DMatrix."""

from pathlib import Path
from typing import Any

from sagemaker_algorithm_toolkit.exceptions import UserError

from containers.toolkit.command_line import ClientError
from containers.toolkit.opt_ml import Channel, OptMl
from containers.xgboost import data

CSV, LIBSVM, PARQUET, RECORDIO_PROTOBUF = "csv", "libsvm", "parquet", "recordio-protobuf"
VALID_CONTENT_TYPES = list(data.ACCEPTED)


def get_content_type(content_type_cfg_val: str | None) -> str:
    """Return csv, libsvm, parquet or recordio-protobuf. Raises UserError."""
    try:
        return data.SHORT[data.content_type_of(content_type_cfg_val)]
    except ClientError as error:
        raise UserError(str(error)) from error


def get_dmatrix(data_path: Any, content_type: str, csv_weights: int = 0, is_pipe: bool = False) -> Any:
    """Return the xgboost.DMatrix of a file, a directory or a pipe; None where there is nothing. Raises UserError."""
    path = Path(data_path)
    if not is_pipe and not path.exists():
        return None
    # A tree in which the path is the channel: its parents' names do not matter to the reader.
    tree = _Files(path)
    channel = Channel(path.name, content_type, "Pipe" if is_pipe else "File", "FullyReplicated", "None")
    try:
        return data.matrix(tree, channel, csv_weights=csv_weights == 1, checked=False)
    except ClientError as error:
        raise UserError(str(error)) from error


class _Files(OptMl):
    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def channel_path(self, name: str) -> Path:
        del name
        return self.base

    def fifo_path(self, name: str, epoch: int) -> Path:
        del name
        return self.base.with_name(f"{self.base.name}_{epoch}")
