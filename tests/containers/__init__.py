"""What runs inside jobs, run as a job would."""
