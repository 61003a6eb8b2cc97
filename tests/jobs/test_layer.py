"""A job's own layer over a recipe's shared environment, and how what a job left is taken away."""

from __future__ import annotations

import subprocess
import venv as standard
from typing import TYPE_CHECKING

from backends.jobs.runners import venv
from backends.jobs.supervisor import main

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


def test_taking_a_jobs_files_away_touches_nothing_that_its_links_name(tmp_path: Path) -> None:
    elsewhere, scratch = tmp_path / "elsewhere", tmp_path / "scratch"
    elsewhere.mkdir(mode=0o755)
    elsewhere.chmod(0o755)
    (elsewhere / "kept").touch()
    (scratch / "closed").mkdir(parents=True)
    (scratch / "closed" / "file").touch()
    (scratch / "closed").chmod(0o000)
    (scratch / "link").symlink_to(elsewhere)
    main._remove_tree(str(scratch))
    assert not scratch.exists()
    assert (elsewhere / "kept").exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o755
