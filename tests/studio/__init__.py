"""Studio: domains and what stands below them, images and their versions."""
