"""`sagemaker-scikit-learn`: script mode, serving, and an ONNX twin of what was trained."""
