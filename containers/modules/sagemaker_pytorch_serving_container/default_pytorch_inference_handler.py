"""The default handlers of the PyTorch image."""

from typing import Any

from sagemaker_inference.default_inference_handler import DefaultInferenceHandler

from containers.pytorch import predictor


class DefaultPytorchInferenceHandler(DefaultInferenceHandler):
    """TorchScript; tensors in and out."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Load the directory's TorchScript model."""
        del context
        return predictor.default_model(model_dir)

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """Return a tensor."""
        del context
        return predictor.default_input(input_data, content_type)

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Any:
        """Return the body, in the first type that can be written."""
        del context
        return predictor.default_output(prediction, accept).body

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Run the model without gradients."""
        del context
        return predictor.default_predict(data, model)
