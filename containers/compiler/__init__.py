"""Model artifacts of several frameworks to ONNX, each checked against the original: what a compilation job runs."""
