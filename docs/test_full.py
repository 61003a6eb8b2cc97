"""Run the long matrices and write what came of them, with the date, to docs/test-full.md (`make test-full`)."""

import datetime as dt
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "docs" / "test-full.md"


def main() -> None:
    """Run pytest, pass its output on, and write the result whatever it is."""
    command = [sys.executable, "-m", "pytest", "--durations=15", *sys.argv[1:]]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    long = {name: value for name, value in sorted(os.environ.items()) if name.startswith("LOCALMAKER_TEST_")}
    slowest = [line for line in lines if re.match(r"[\d.]+s (call|setup|teardown)", line)]
    skipped = [line for line in lines if line.startswith("SKIPPED")]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    text = [
        "# The long test run",
        "",
        "Written by `make test-full`; the last run that was committed.",
        "",
        f"- {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}",
        f"- Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        f"- {', '.join(f'{name}={value}' for name, value in long.items()) or 'no long matrices'}",
        f"- **{lines[-1].strip('= ') if lines else 'no output'}**",
        *_block("Failed", failed),
        *_block("Skipped", skipped),
        *_block("Slowest", slowest),
    ]
    RESULT.write_text("\n".join(text) + "\n", encoding="utf-8")
    sys.exit(process.returncode)


def _block(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", "", "```", *lines, "```"] if lines else []


if __name__ == "__main__":
    main()
