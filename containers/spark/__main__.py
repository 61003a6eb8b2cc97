"""`python -m containers.spark smspark-submit ...`; `train` and `serve` have nothing to run here."""

import sys

from containers.spark import submit
from containers.toolkit.command_line import main

if __name__ == "__main__":
    if sys.argv[1:2] == ["smspark-submit"]:
        submit.main(sys.argv[2:])
    main(None, None)
