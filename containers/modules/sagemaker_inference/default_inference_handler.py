"""The handlers that every image of the toolkit begins with."""

from typing import Any

from sagemaker_inference import decoder, encoder, errors, utils


class DefaultInferenceHandler:
    """Decode, predict, encode."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Be written by the user."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """Return an array."""
        del context
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Be written by the user."""
        raise NotImplementedError("Please provide a predict_fn implementation.")

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Any:
        """Return the body and its type."""
        del context
        for kind in utils.parse_accept(accept):
            if kind in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, kind), kind
        raise errors.UnsupportedFormatError(accept)
