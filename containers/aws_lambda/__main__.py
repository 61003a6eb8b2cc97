"""`python -m containers.aws_lambda serve`: run one function's runtime, and answer invocations at the port."""

from __future__ import annotations

import sys

from containers.aws_lambda.front import serve

if __name__ == "__main__":
    if sys.argv[1:] != ["serve"]:
        sys.exit("usage: python -m containers.aws_lambda serve")
    serve()
