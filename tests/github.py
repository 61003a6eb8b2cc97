"""As much of a GitHub runner as our action and example workflows need: steps under bash, with the files they write to.

Source: GitHub Docs, "Workflow commands", "Metadata syntax for GitHub Actions", "Workflow syntax" (November 2026).
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OURS = "localmaker/localmaker@"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
WAIT_S = 120


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file of GitHub's."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def holds(condition: str, inputs: dict[str, str]) -> bool:
    """Evaluate a condition made of `inputs.x == 'y'` and `&&`, or `always()`."""
    for part in condition.split("&&"):
        if part.strip() == "always()":
            continue
        match = re.fullmatch(r"\s*inputs\.([\w-]+) == '(.*)'\s*", part)
        assert match is not None, f"a condition that this runner does not know: {part}"
        if inputs[match[1]] != match[2]:
            return False
    return True


@dataclass
class Runner:
    """One job: its environment grows by what its steps write."""

    folder: Path
    environment: dict[str, str]
    uses: dict[str, str] = field(default_factory=dict)
    """Inputs that win over those of a workflow, so that it can run beside others."""
    output: str = ""

    def steps(self, steps: list[dict[str, Any]]) -> None:
        """Run a workflow's steps; `always()` also behind one that failed. CalledProcessError at the end."""
        failed: subprocess.CalledProcessError | None = None
        for step in steps:
            if failed is not None and step.get("if") != "always()":
                continue
            try:
                if step.get("uses", "").startswith(OURS):
                    self.action({**step.get("with", {}), **self.uses})
                elif "run" in step:
                    self.run(step["run"], step.get("env", {}))
            except subprocess.CalledProcessError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def action(self, given: dict[str, str]) -> dict[str, str]:
        """Run our composite action; give its outputs."""
        action = read(ROOT / "action.yml")
        assert given.keys() <= action["inputs"].keys()
        inputs = {name: str(given.get(name, entry["default"])) for name, entry in action["inputs"].items()}
        known = {"github.action_path": str(ROOT), **{f"inputs.{name}": value for name, value in inputs.items()}}
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash"
            assert not EXPRESSION.search(step["run"]), "an input would be a piece of the script"
            if holds(step["if"], inputs):
                environment = {name: _filled(value, known) for name, value in step.get("env", {}).items()}
                written = self.run(step["run"], environment)
                known |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in written.items()}
        return {name: _filled(entry["value"], known) for name, entry in action["outputs"].items()}

    def run(self, script: str, environment: dict[str, str]) -> dict[str, str]:
        """Run one script as the shell `bash` of a runner does; give its outputs."""
        files = {name: self.folder / name.lower() for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT")}
        for path in files.values():
            path.write_text("")
        (self.folder / "script").write_text(script)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.folder / "script")]
        whole = {**self.environment, "RUNNER_TEMP": str(self.folder / "temp"), **environment}
        whole |= {name: str(path) for name, path in files.items()}
        (self.folder / "temp").mkdir(exist_ok=True)
        (self.folder / "work").mkdir(exist_ok=True)
        with (self.folder / "output").open("wb") as output:  # a file: a server that is started keeps a pipe open
            done = subprocess.run(
                command, env=whole, cwd=self.folder / "work", stdout=output, stderr=output, check=False, timeout=WAIT_S
            )
        said = (self.folder / "output").read_text()
        self.output += said
        self.environment |= _pairs(files["GITHUB_ENV"])
        added = files["GITHUB_PATH"].read_text().split()
        self.environment["PATH"] = os.pathsep.join([*reversed(added), self.environment["PATH"]])
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, script, self.output)
        return _pairs(files["GITHUB_OUTPUT"])


def _pairs(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    assert all(re.match(r"\w+=", line) for line in lines), lines
    return dict(line.split("=", 1) for line in lines)


def _filled(text: str, known: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda match: known.get(match[1], ""), text)
