"""A job's own layer over a recipe's shared environment."""

from __future__ import annotations

import subprocess
import venv as standard
from typing import TYPE_CHECKING

from backends.jobs.runners import venv

if TYPE_CHECKING:
    from pathlib import Path


def test_a_package_of_the_layer_wins_over_what_another_installation_linked(tmp_path: Path) -> None:
    shared, layer = tmp_path / "shared", tmp_path / "layer"
    standard.create(shared, symlinks=True)
    for who in ("ours", "theirs"):
        package = tmp_path / who / "containers"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"WHO = {who!r}\n")
    site = next(shared.glob("lib/python3*/site-packages"))
    (site / "containers").symlink_to(tmp_path / "theirs" / "containers")
    assert venv.layer(shared, layer, shared, [tmp_path / "ours" / "containers"])
    program = [str(layer / "bin" / "python"), "-c", "import containers; print(containers.WHO)"]
    said = subprocess.run(program, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout.strip() == "ours"
