"""What scripts import from the scikit-learn image: its default handlers."""
