"""Edge Manager."""
