"""Names of the collections."""


class CollectionKeys:
    """What tensors are grouped by."""

    DEFAULT, ALL, INPUTS, OUTPUTS, WEIGHTS, GRADIENTS = "default", "all", "inputs", "outputs", "weights", "gradients"
    LOSSES, BIASES, LAYERS, SM_METRICS, METRICS = "losses", "biases", "layers", "sm_metrics", "metrics"
    OPTIMIZER_VARIABLES, TENSORFLOW_SUMMARIES = "optimizer_variables", "tensorflow_summaries"
    HYPERPARAMETERS, PREDICTIONS, LABELS, TREES = "hyperparameters", "predictions", "labels", "trees"
    FEATURE_IMPORTANCE, AVERAGE_SHAP, FULL_SHAP = "feature_importance", "average_shap", "full_shap"
