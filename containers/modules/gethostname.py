"""Stands for sagemaker-training's C file, which only `mpirun` preloads: its modules import it, and recipes install without a compiler."""
