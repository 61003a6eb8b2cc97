"""The default handlers of the scikit-learn image."""

from typing import Any

import numpy as np
from sagemaker_containers._worker import Response
from sagemaker_containers.beta.framework import content_types, encoders


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """Return the array; float32 for JSON and CSV."""
    array = encoders.decode(input_data, content_type)
    return array.astype(np.float32) if content_type in content_types.UTF8_TYPES else array


def default_predict_fn(input_data: Any, model: Any) -> Any:
    """Ask the model."""
    return model.predict(input_data)


def default_output_fn(prediction: Any, accept: str) -> Response:
    """Return the response object."""
    return Response(encoders.encode(prediction, accept), mimetype=accept)
