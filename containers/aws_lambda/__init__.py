"""One execution environment of a Lambda function: see README.md."""
