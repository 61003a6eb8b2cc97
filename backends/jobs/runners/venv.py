"""A writable layer over a recipe's shared virtual environment, so that a job can `pip install` and leave it as it was.

The layer is a virtual environment of a few links: its own empty `site-packages` comes first on `sys.path`, the shared
one follows by a `.pth` file, and scripts and `share` are links into the shared one. In a sandbox the layer is mounted
where the shared environment lies, so that interpreter lines, console scripts and the spec's own paths all meet it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE = Path("/opt/localmaker/venv")  # where a sandbox shows the shared environment itself


def layer(venv: Path, target: Path, base: Path, packages: Sequence[Path] = ()) -> bool:
    """Make the layer of `venv` in `target`, its links pointing to `base`; False when `venv` is no virtual environment.

    `packages` are importable in the layer: installations that share a cache would fight over a link in `venv` itself.
    """
    config = venv / "pyvenv.cfg"
    libraries = sorted(venv.glob("lib/python3*/site-packages"))
    if not config.is_file() or not libraries:
        return False
    (target / "bin").mkdir(parents=True)
    (target / "pyvenv.cfg").write_bytes(config.read_bytes())
    for script in (venv / "bin").iterdir():
        if base != venv or script.is_dir() or not _copy_script(script, target / "bin" / script.name, venv, target):
            (target / "bin" / script.name).symlink_to(base / "bin" / script.name)
    for entry in venv.iterdir():
        if entry.name not in {"bin", "lib", "lib64", "pyvenv.cfg"}:
            (target / entry.name).symlink_to(base / entry.name)
    own = target / libraries[0].relative_to(venv)
    own.mkdir(parents=True)
    shared = base / libraries[0].relative_to(venv)
    (own / "_localmaker_base.pth").write_text(f"import site; site.addsitedir({str(shared)!r})\n")
    for package in packages:
        (own / package.name).symlink_to(package)
        if (package / "modules").is_dir():  # names of the images' own packages, through that link
            (own / f"_localmaker_{package.name}.pth").write_text(f"{package.name}/modules\n")
    (target / "lib64").symlink_to("lib")
    return True


def _copy_script(script: Path, copy: Path, venv: Path, target: Path) -> bool:
    """Copy a script with its interpreter line turned to the layer, which is not mounted over `venv` here."""
    old, new = f"#!{venv}/bin/".encode(), f"#!{target}/bin/".encode()
    with script.open("rb") as file:
        if file.read(len(old)) != old:
            return False
        copy.write_bytes(new + file.read())
    copy.chmod(0o755)
    return True


def interpreter_paths(venv: Path) -> list[Path]:
    """Return the directories outside of `venv` that its interpreter needs, as they are named and as they really lie."""
    config = venv / "pyvenv.cfg"
    if not config.is_file():
        return []
    for line in config.read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            home = Path(value.strip()).parent
            return [path for path in dict.fromkeys([home, home.resolve()]) if not path.is_relative_to("/usr")]
    return []
