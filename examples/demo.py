"""What `make demo` runs: everything from a fresh clone to a prediction, with the time that each step took.

Only the standard library is used here, since the virtual environment is one of the steps.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
RECIPE = "xgboost"
TIMES = []


@contextmanager
def step(title):
    """Print what is being done, and remember how long it took."""
    print(f"== {title}", flush=True)
    began = time.monotonic()
    yield
    TIMES.append((title, time.monotonic() - began))


def localmaker(*arguments, **options):
    """Run the command line of the virtual environment."""
    return subprocess.run([BIN / "localmaker", *arguments], check=True, **options)


def make_recipe():
    """Make the image, or else the environment, that the training job runs in; give the runner that will have it.

    A fixed LOCALMAKER_RUNNER is taken at its word. Otherwise Docker, if an engine answers and the base image can be had.
    """
    chosen = os.environ.get("LOCALMAKER_RUNNER", "auto")
    if chosen in {"auto", "docker"}:
        made = subprocess.run([BIN / "localmaker", "images", "build", RECIPE, "--runner", "docker"], check=False)
        if made.returncode == 0 or chosen == "docker":
            made.check_returncode()
            return "docker"
        print("   Not in Docker, then: the job runs as a process of this machine.", flush=True)
    localmaker("images", "build", RECIPE, "--runner", "process")
    return "process"


def main():
    """Make what is needed, start, run the quickstart, stop, and print the times."""
    with step("Python environment"):
        subprocess.run(["make", "--no-print-directory", f"PYTHON={sys.executable}", "venv"], check=True, cwd=ROOT)
    with step(f"{RECIPE} recipe"):
        runner = make_recipe()
    with tempfile.TemporaryDirectory(prefix="localmaker-demo-", ignore_cleanup_errors=True) as folder:
        data = ["--data-dir", folder]
        with step("Server start"):
            localmaker("start", "--detach", "--port", "0", "--runner", runner, *data)
        try:
            variables = json.loads(localmaker("env", "--json", *data, stdout=subprocess.PIPE).stdout)
            kept = {
                name: value for name, value in os.environ.items() if name not in {"AWS_PROFILE", "AWS_SESSION_TOKEN"}
            }
            with step("Quickstart"):
                quickstart = [BIN / "python", ROOT / "examples" / "quickstart.py"]
                subprocess.run(quickstart, check=True, env={**kept, **variables})
        except BaseException:
            subprocess.run([BIN / "localmaker", "logs", *data], check=False)
            subprocess.run([BIN / "localmaker", "reset", "--yes", *data], check=False)  # no container is left behind
            raise
        finally:
            with step("Server stop"):
                localmaker("stop", *data)
    print(f"\nRunner: {runner}. Seconds per step:")
    for title, seconds in TIMES:
        print(f"  {title:<20} {seconds:6.1f}")
    print(f"  {'together':<20} {sum(seconds for _, seconds in TIMES):6.1f}")


if __name__ == "__main__":
    main()
