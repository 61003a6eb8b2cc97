"""The old toolkit of the framework images, by the functions that scripts use: sagemaker-training does the work."""
