"""PyTorch: exported programs (`.pt2`) and TorchScript (`.pt`, `.pth`), whose inputs' shapes DataInputConfig gives."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from containers.compiler.common import Converted, only_file, shapes_of
from containers.toolkit.command_line import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np

OPSET = 18
TYPES = {"float": "float32", "float32": "float32", "int64": "int64", "long": "int64"}
"""What CompilerOptions' dtype may say (shape OutputConfig)."""


def convert(folder: Path, config: dict[str, Any]) -> Converted:
    """Return the artifact's model as ONNX. ClientError for a pickle of weights or of a class, which has no graph."""
    path = only_file(folder, ".pt2", ".pt", ".pth")
    if path.suffix == ".pt2":
        return _of_program(path)
    return _of_torchscript(path, config)


def _of_program(path: Path) -> Converted:
    import torch

    torch.manual_seed(0)
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever it complains of
        raise ClientError(f"InputConfiguration: {path.name} is no exported program: {_first_line(error)}") from error
    positional, named = program.example_inputs or ((), {})
    if not positional or named:
        raise ClientError(
            "InputConfiguration: the exported program must have positional example inputs, and no others."
        )
    inputs = [torch.randn_like(each) if each.is_floating_point() else each for each in positional]
    with torch.no_grad():
        exported = torch.onnx.export(program, opset_version=OPSET, dynamo=True, verbose=False)
        expected = list(_arrays(program.module()(*inputs)))
    model = exported.model_proto.SerializeToString()
    names = [each.name for each in exported.model_proto.graph.input]
    sample = dict(zip(names, _arrays(inputs), strict=True))
    return Converted(model, path.name, "An exported PyTorch program", sample, expected)


def _of_torchscript(path: Path, config: dict[str, Any]) -> Converted:
    import torch

    torch.manual_seed(0)
    shapes = shapes_of(config.get("DataInputConfig"))
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # whatever it complains of
        raise ClientError(f"InputConfiguration: {path.name} is no TorchScript module: {_first_line(error)}") from error
    kind = TYPES.get(str(config["CompilerOptions"].get("dtype", "float32")))
    if kind is None:
        raise ClientError(f"InputConfiguration: CompilerOptions' dtype must be one of {', '.join(TYPES)}.")
    make = torch.randn if kind == "float32" else lambda shape: torch.zeros(shape, dtype=torch.int64)
    inputs = [make(shape) for shape in shapes.values()]
    target = io.BytesIO()
    with torch.no_grad():
        expected = list(_arrays(module(*inputs)))
        torch.onnx.export(module, tuple(inputs), target, input_names=list(shapes), opset_version=OPSET, dynamo=False)
    sample = dict(zip(shapes, _arrays(inputs), strict=True))
    return Converted(target.getvalue(), path.name, "A TorchScript module", sample, expected)


def _arrays(values: Any) -> Iterator[np.ndarray]:
    """Yield the tensors of what a model takes or returns, in their order."""
    if hasattr(values, "detach"):
        yield values.detach().numpy()
        return
    inner: Iterable[Any] = values.values() if isinstance(values, dict) else values
    for value in inner:
        yield from _arrays(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
