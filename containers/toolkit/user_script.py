"""Running the user's script so that its output stays whole: sagemaker-training's own reader breaks lines.

It prints whatever a read returns as a line of its own, so an unbuffered `print("loss:", 0.5)` becomes four log lines and no metric
regex matches. Here the script writes to the job's output itself, and only stderr passes through, line by line, for the failure text.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from typing import Any

from sagemaker_training import environment, errors, logging_config, process

KEPT_LINES = 40
_LONGEST = 700
"""Characters for the script's own words; the command comes after them."""
_KILLED = (-9, 137)


class WholeLines(process.ProcessRunner):  # type: ignore[misc]
    """A runner of sagemaker-training that takes its command from another one."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner._user_entry_point, inner._args, inner._env_vars, inner._processes_per_host)  # noqa: SLF001 - what a subclass would inherit
        self._create_command = inner._create_command  # noqa: SLF001

    def run(self, wait: bool = True, capture_error: bool = False) -> subprocess.Popen[bytes]:
        """Run to the end. Raises ExecuteUserScriptError, whose text becomes the failure file."""
        del wait, capture_error
        command = self._create_command()
        logging_config.log_script_invocation(command, self._env_vars)
        sys.stdout.flush()
        tail: deque[str] = deque(maxlen=KEPT_LINES)
        with subprocess.Popen(command, env=os.environ, cwd=environment.code_dir, stderr=subprocess.PIPE) as script:
            assert script.stderr is not None
            for raw in script.stderr:
                sys.stderr.buffer.write(raw)
                sys.stderr.flush()
                tail.append(raw.decode("utf-8", "replace"))
        if script.returncode:
            killed = "OutOfMemory: Process killed by SIGKILL (signal 9)" if script.returncode in _KILLED else None
            raise errors.ExecuteUserScriptError(
                cmd=" ".join(command), return_code=script.returncode, output=failure_text(list(tail)), info=killed
            )
        return script


def failure_text(lines: list[str]) -> str:
    """Return the last traceback, from its end backwards where it is long: the failure file keeps 1,024 characters."""
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    text = "".join(lines[starts[-1] :] if starts else lines).strip()
    return text if len(text) <= _LONGEST else f"... {text[-_LONGEST:]}"
