"""The default handlers of the PyTorch image."""

from typing import Any

from sagemaker_inference.default_inference_handler import DefaultInferenceHandler

from containers.pytorch import predictor


class DefaultPytorchInferenceHandler(DefaultInferenceHandler):
    """TorchScript in, arrays out."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Load the directory's TorchScript model."""
        del context
        return predictor.default_model(model_dir)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Run the model without gradients."""
        del context
        return predictor.default_predict(data, model)
