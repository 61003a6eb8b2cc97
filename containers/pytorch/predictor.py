"""Serving PyTorch: the user's handlers, or an ONNX file, or a TorchScript model."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import arrays, handlers
from containers.toolkit.serving import Reply, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from containers.toolkit.serving import Predictor

UNSUPPORTED = "Content type {} is not supported by this framework; define input_fn or output_fn in inference.py"


def create(directory: Path) -> Predictor:
    """Load handlers or model, in this order: inference.py, an .onnx file, a .pt or .pth file as TorchScript."""
    module = handlers.user_module(directory)
    if module is None:
        from containers.inference import predictor
        from containers.inference.model import find

        if find(directory) is not None:
            return predictor.create(directory)
    defaults = handlers.Defaults(default_model, default_predict, default_input, default_output)
    return handlers.HandlerPredictor(directory, defaults, module)


def default_model(directory: str) -> Any:
    """Load model.pt, or the only .pt or .pth file, saved by `torch.jit.save`. Raises ValueError where there is not just one."""
    from pathlib import Path

    import torch

    path = Path(directory) / "model.pt"
    if not path.is_file():
        paths = sorted(
            entry for entry in Path(directory).iterdir() if entry.is_file() and entry.suffix in (".pt", ".pth")
        )
        if len(paths) != 1:
            names = [entry.name for entry in paths]
            raise ValueError(f"Exactly one .pth or .pt file is required for PyTorch models: {names}")
        path = paths[0]
    try:
        return torch.jit.load(str(path), map_location=_device()).eval()
    except RuntimeError as problem:
        raise RuntimeError(f"Failed to load {path}. Please ensure model is saved using torchscript.") from problem


def default_input(body: bytes | str, content_type: str) -> Any:
    """Return a tensor on the device: float32 of JSON and CSV, as it stands of npy. Raises RequestError for other types."""
    import torch

    if content_type == arrays.NPY:
        return torch.from_numpy(arrays.decode_npy(body.encode() if isinstance(body, str) else body)).to(_device())
    if content_type == arrays.JSON:
        return torch.as_tensor(np.asarray(json.loads(body)), dtype=torch.float32, device=_device())
    if content_type == arrays.CSV:
        text = body.decode() if isinstance(body, bytes) else body
        table = np.genfromtxt(io.StringIO(text), delimiter=",")
        return torch.as_tensor(table, dtype=torch.float32, device=_device())
    raise RequestError(500, UNSUPPORTED.format(content_type))


def default_predict(data: Any, model: Any) -> Any:
    """Run the model on a tensor without gradients."""
    import torch

    with torch.no_grad():
        model = model.to(_device())
        model.eval()
        return model(data.to(_device()))


def default_output(prediction: Any, accept: str) -> Any:
    """Answer in the first type of `accept` that is JSON, CSV or npy; a tensor as lists. Raises RequestError for others."""
    import torch

    if isinstance(prediction, torch.Tensor):
        prediction = prediction.detach().cpu().numpy().tolist()
    for kind in accept.replace(" ", "").split(","):
        if kind == arrays.JSON:
            return Reply(json.dumps(prediction, default=lambda value: value.tolist()).encode(), accept)
        if kind == arrays.CSV:
            stream = io.StringIO()
            np.savetxt(stream, prediction, delimiter=",", fmt="%s")
            return Reply(stream.getvalue().encode(), accept)
        if kind == arrays.NPY:
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(prediction), allow_pickle=False)
            return Reply(buffer.getvalue(), accept)
    raise RequestError(500, UNSUPPORTED.format(accept))


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
