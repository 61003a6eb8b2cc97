r"""Regular expressions that users wrote, matched so that none holds up anything but its own job.

RE2 needs time in proportion to the text, whatever the expression. What it lacks (looking around, back references) is
matched by Python's `re` in a process of its own, which is killed BUDGET_S after it is up. RE2 differs where few will notice: `\d`,
`\w` and `\b` know ASCII only. Source: github.com/google/re2/wiki/Syntax (2026-11).
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUDGET_S = 2.0
START_S = 30.0
"""What the process has to come up: on a busy machine a Python takes seconds, which are not the pattern's."""
_SET_FROM = 4  # fewer are tried one by one as quickly as all at once
_WORKER = """
import json, re, sys
sys.stdout.write(" ")
sys.stdout.flush()
regex, lines = json.load(sys.stdin)
search = re.compile(regex).search
found = [(number, match[1]) for number, line in enumerate(lines) if (match := search(line))]
json.dump(found, sys.stdout)
"""


class OutOfTimeError(Exception):
    """A pattern took longer than BUDGET_S."""


@dataclass(frozen=True)
class Pattern:
    """One expression with a group at least, whose first is what it extracts. `linear`: RE2's form, None without one."""

    regex: str
    linear: Any = None

    def search(self, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Yield (number, first group) of each line that matches somewhere. Raises OutOfTimeError."""
        if self.linear is not None:
            for number, line in enumerate(lines):
                matched = self.linear.search(line)
                if matched is not None and matched[1] is not None:
                    yield number, matched[1]
            return
        for number, text in _in_a_process(self.regex, lines):
            if text is not None:
                yield number, text


def compile_pattern(regex: str) -> Pattern | None:
    """Compile an expression; None when it has no group, ValueError when it is none."""
    try:
        groups = re.compile(regex).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not groups:
        return None
    try:
        return Pattern(regex, re2.compile(regex, _options()))
    except re2.error:
        return Pattern(regex)


class Prefilter:
    """Which of several expressions match a line, in one pass over it; the others need not be tried."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._all = range(len(patterns))
        self._always = [n for n in self._all if patterns[n].linear is None]
        self._numbers = [n for n in self._all if patterns[n].linear is not None]
        self._set: Any = None
        if len(self._numbers) >= _SET_FROM:
            self._set = re2.Set.SearchSet(_options())
            for number in self._numbers:
                self._set.Add(patterns[number].regex)
            self._set.Compile()

    def lines_of(self, lines: Sequence[str]) -> dict[int, list[int]]:
        """Return for each pattern the numbers of the lines that it has to be tried on."""
        everything = list(range(len(lines)))
        if self._set is None:
            return dict.fromkeys(self._all, everything)
        lines_by_pattern: dict[int, list[int]] = {n: everything if n in self._always else [] for n in self._all}
        for number, line in enumerate(lines):
            for index in self._set.Match(line) or ():
                lines_by_pattern[self._numbers[index]].append(number)
        return lines_by_pattern


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


def _in_a_process(regex: str, lines: Sequence[str]) -> list[tuple[int, str | None]]:
    argv = [sys.executable, "-I", "-S", "-c", _WORKER]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as worker:
        try:
            assert worker.stdout is not None
            # It says one byte once it is up, before it reads: only then its time begins.
            is_up = bool(select.select([worker.stdout], [], [], START_S)[0])
            if is_up:
                os.read(worker.stdout.fileno(), 1)
            said, _ = worker.communicate(json.dumps([regex, list(lines)]).encode(), timeout=BUDGET_S if is_up else 0)
        except subprocess.TimeoutExpired:
            raise OutOfTimeError(regex) from None
        finally:
            worker.kill()
    return [(number, text) for number, text in json.loads(said)] if worker.returncode == 0 else []
