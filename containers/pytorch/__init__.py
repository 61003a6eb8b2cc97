"""`pytorch-training` and `pytorch-inference`: script mode (also torchrun), and serving."""
