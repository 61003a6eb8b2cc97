"""What a script's training job imports before and after the script: nothing that it does not use."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LATER = """
import sys
from containers.toolkit.script_mode import import_later

import_later("colorsys")
import colorsys
assert "rgb_to_hls" not in vars(sys.modules["colorsys"])
assert colorsys.rgb_to_hls(0, 0, 0) == (0.0, 0, 0.0)
assert "rgb_to_hls" in vars(sys.modules["colorsys"])
from colorsys import ONE_THIRD
import_later("os")
import os
os.getcwd()
import_later("not_there_at_all")
import not_there_at_all
try:
    not_there_at_all.value
except ModuleNotFoundError:
    print("passed")
"""
EXPORT = """
import sys
from containers.scikit_learn.__main__ import export

export()
assert "numpy" not in sys.modules
print("passed")
"""


def run(script: str, **environment: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout


def test_a_module_is_imported_at_its_first_use() -> None:
    assert run(LATER) == "passed\n"


def test_without_a_model_nothing_is_imported_for_its_export(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert run(EXPORT, SAGEMAKER_BASE_DIR=str(tmp_path)) == "passed\n"
