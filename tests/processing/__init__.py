"""Processing: what a container finds, what becomes of what it leaves, and what is refused."""
