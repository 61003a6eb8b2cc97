"""Where a job runs: one file per runtime, all of them passing `tests/jobs/test_runner*.py`."""
