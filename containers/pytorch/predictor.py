"""Serving PyTorch: the user's handlers, or an ONNX file, or a TorchScript model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from containers.toolkit import handlers

if TYPE_CHECKING:
    from pathlib import Path

    from containers.toolkit.serving import Predictor

MODEL_NAMES = ("model.pth", "model.pt")


def create(directory: Path) -> Predictor:
    """Load handlers or model, in this order: inference.py, an .onnx file, model.pth or model.pt as TorchScript."""
    module = handlers.user_module(directory)
    if module is None:
        from containers.inference import predictor
        from containers.inference.model import find

        if find(directory) is not None:
            return predictor.create(directory)
    defaults = handlers.Defaults(model_fn=default_model, predict_fn=default_predict, output_fn=default_output)
    return handlers.HandlerPredictor(directory, defaults, module)


def default_model(directory: str) -> Any:
    """Load model.pth or model.pt, saved by `torch.jit.save`. Raises FileNotFoundError."""
    from pathlib import Path

    import torch

    path = next((Path(directory) / name for name in MODEL_NAMES if (Path(directory) / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"neither {' nor '.join(MODEL_NAMES)} in {directory}; define model_fn in inference.py")
    model = torch.jit.load(str(path), map_location=_device())
    return model.eval()


def default_predict(data: Any, model: Any) -> Any:
    """Run the model on a float32 tensor [n, ...] without gradients."""
    import torch

    with torch.inference_mode():
        given = data if isinstance(data, torch.Tensor) else torch.as_tensor(data)
        return model((given.float() if given.is_floating_point() else given).to(_device()))


def default_output(prediction: Any, accept: str) -> Any:
    """Answer a tensor as the array that it is."""
    return handlers.encode(prediction.detach().cpu().numpy() if hasattr(prediction, "detach") else prediction, accept)


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
