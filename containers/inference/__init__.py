"""The ONNX Runtime server: a model directory that holds `.onnx`, answered over HTTP (contract: inference.md §1)."""
