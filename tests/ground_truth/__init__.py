"""Ground Truth and Augmented AI."""
