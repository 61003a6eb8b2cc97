"""ONNX models: checked, and passed on as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from containers.compiler.common import Converted, only_file
from containers.toolkit.command_line import ClientError

if TYPE_CHECKING:
    from pathlib import Path


def convert(folder: Path, config: dict[str, Any]) -> Converted:  # noqa: ARG001 - a converter's parameters
    """Return the artifact's model. ClientError for one that onnx's checker refuses."""
    import onnx

    path = only_file(folder, ".onnx")
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:  # its own ValidationError, and protobuf's for what is no model
        sentence = str(error).strip().splitlines()[0]
        raise ClientError(f"InputConfiguration: {path.name} is no valid ONNX model: {sentence}") from error
    return Converted(path.read_bytes(), path.name, "An ONNX model, as it was,")
