"""Running jobs: what a job is, where it runs, and what it leaves. Components import this; it imports `core` only."""
