"""What scripts import from the PyTorch image: its default handlers."""
