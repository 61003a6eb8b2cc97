"""What a job left is removed at any depth and with any modes, and nothing that its links name."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backends.jobs.runners import docker, identity
from backends.jobs.supervisor import beneath, container, sync
from tests.engine import open_to_others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)  # fork, from 3.12 on


def nested(at: Path, depth: int, mode: int = 0o700, name: str = "d") -> None:
    """Make folders of a mode in each other, the first hundred with a file and a link to the machine's root."""
    at.mkdir(parents=True, exist_ok=True)
    fd = os.open(at, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(name, dir_fd=fd)
        deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
        if level < 100:
            os.symlink("/", "link", dir_fd=fd)
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0, dir_fd=fd))
        os.fchmod(fd, mode)
        os.close(fd)
        fd = deeper
    os.close(fd)


def as_an_ordinary_user(work: Callable[[], None]) -> None:
    """Do something in a child that is not root: root reads and writes whatever the modes are."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
        except BaseException:  # noqa: BLE001 - the child must not go on as pytest
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in which an ordinary user may write.

    Not below pytest's own: a run whose leavings, or an earlier run's, are too deep for `shutil.rmtree` ends with exit code 1.
    """
    above = Path(tempfile.mkdtemp(prefix="localmaker-beneath-"))
    made = above / "job"
    made.mkdir()
    made.chmod(0o777)
    if os.geteuid() == 0:
        open_to_others(made)
    yield made
    beneath.remove(above)


@pytest.mark.parametrize("mode", [0o700, 0o500, 0o400, 0o100, 0])
def test_folders_of_any_mode_are_removed(folder: Path, mode: int) -> None:
    def work() -> None:
        nested(folder / "tree", 20, mode)
        (folder / "tree").chmod(mode)
        beneath.remove(folder / "tree")

    as_an_ordinary_user(work)
    assert not (folder / "tree").exists()


def test_five_thousand_folders_in_each_other_are_removed_with_few_descriptors(folder: Path) -> None:
    nested(folder / "tree", 5000, 0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/dev/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, limits[1]))
    try:
        beneath.remove(folder / "tree")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not (folder / "tree").exists()


def test_links_are_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    elsewhere.chmod(0o755)
    tree = folder / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "link").symlink_to(elsewhere)
    (tree / "link").symlink_to(elsewhere)
    (tree / ".removed-0").mkdir()
    os.mkfifo(tree / "fifo")
    beneath.remove(tree)
    (folder / "top").symlink_to(elsewhere)
    beneath.remove(folder / "top")
    beneath.remove(folder / "never")
    beneath.remove(folder / "never" / "there")
    assert list(folder.iterdir()) == []
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
    assert elsewhere.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of somebody else")
def test_what_belongs_to_somebody_else_stays_and_ends_nothing(folder: Path) -> None:
    nested(folder / "tree" / "theirs", 3)
    (folder / "tree" / "own").mkdir()
    os.chown(folder / "tree", NOBODY, NOBODY)
    os.chown(folder / "tree" / "own", NOBODY, NOBODY)
    as_an_ordinary_user(lambda: beneath.remove(folder / "tree"))
    assert sorted(path.name for path in (folder / "tree").iterdir()) == ["theirs"]
    beneath.remove(folder / "tree")
    assert not (folder / "tree").exists()


def test_a_tree_without_a_path_is_looked_at_without_an_error(folder: Path) -> None:
    nested(folder / "tree" / "deep", 30, name="n" * 200)
    assert container._foreign(str(folder / "tree"))
    beneath.remove(folder / "tree")
    (folder / "tree" / "closed").mkdir(parents=True)
    assert not container._foreign(str(folder / "tree"))
    (folder / "tree" / "closed").chmod(0)
    assert container._foreign(str(folder / "tree"))
    (folder / "tree" / "closed").chmod(0o700)
    assert container._foreign(str(folder / "never"))


def test_opening_the_directories_of_a_job_changes_nothing_that_links_name(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (folder / "model" / "deep").mkdir(parents=True)
    (folder / "model" / "link").symlink_to(elsewhere)
    folder.chmod(0o700)
    docker._open_directories(folder)
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / "model", folder / "model" / "deep", elsewhere)]
    assert modes == [0o777, 0o777, 0o777, 0o700]


def test_a_sparse_checkpoint_keeps_its_holes(tmp_path: Path) -> None:
    local, remote = tmp_path / "ml" / "checkpoints", tmp_path / "seen"
    local.mkdir(parents=True)
    mirror = sync.Mirror([{"local": str(local), "remote": str(remote)}], str(tmp_path / "journal"), [str(local.parent)])
    for name, begin in (("half", b"begin"), ("hole", b"")):
        with (local / name).open("wb") as file:
            file.write(begin)
            file.truncate(64 << 20)
    mirror.finish()
    for name in ("half", "hole"):
        made = remote / name
        assert made.stat().st_blocks * 512 < 1 << 20
        assert made.read_bytes() == (local / name).read_bytes()


def test_a_checkpoint_may_take_the_name_of_a_folder_and_a_folder_that_of_a_file(tmp_path: Path) -> None:
    local, remote = tmp_path / "ml" / "checkpoints", tmp_path / "seen"
    local.mkdir(parents=True)
    mirror = sync.Mirror([{"local": str(local), "remote": str(remote)}], str(tmp_path / "journal"), [str(local.parent)])
    (local / "name" / "deep").mkdir(parents=True)
    (local / "name" / "deep" / "file").write_text("first")
    mirror.finish()
    beneath.remove(local / "name")
    (local / "name").write_text("second")
    mirror.finish()
    assert (remote / "name").read_text() == "second"
    (local / "name").unlink()
    (local / "name").mkdir()
    (local / "name" / "file").write_text("third")
    mirror.finish()
    assert (remote / "name" / "file").read_text() == "third"
    assert [(verb, path) for verb, _, path, _ in sync.read(str(tmp_path / "journal"), 0)] == [
        ("put", "name/deep/file"),
        ("delete", "name/deep/file"),
        ("put", "name"),
        ("delete", "name"),
        ("put", "name/file"),
    ]


def test_a_mirror_holds_no_more_than_the_volume(tmp_path: Path) -> None:
    """One file of many names is one file on the job's volume, and would be as many in the mirror."""
    local, remote = tmp_path / "ml" / "checkpoints", tmp_path / "seen"
    local.mkdir(parents=True)
    notes: list[str] = []
    pair = {"local": str(local), "remote": str(remote)}
    mirror = sync.Mirror([pair], str(tmp_path / "journal"), [str(local.parent)], 3 << 20, notes.append)
    (local / "0").write_bytes(b"x" * (1 << 20))
    for number in range(1, 8):
        (local / str(number)).hardlink_to(local / "0")
    mirror.finish()
    assert sorted(path.name for path in remote.iterdir()) == ["0", "1", "2"]
    assert len(notes) == 1
    (local / "0").unlink()
    mirror.finish()
    assert sorted(path.name for path in remote.iterdir()) == ["1", "2", "3"]


def deep(folder: Path, depth: int) -> None:
    """Make folders in each other, each with a file and another folder beside."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=at))
        os.mkdir("b", dir_fd=at)
        os.mkdir("a", dir_fd=at)
        inner = os.open("a", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)


def test_a_deep_tree_is_walked_at_the_cost_of_its_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep(folder, 1500)
    opened, really = 0, os.open

    def count(*args: Any, **given: Any) -> int:
        nonlocal opened
        opened += 1
        return really(*args, **given)

    monkeypatch.setattr(os, "open", count)
    at = beneath.root(str(folder))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    most, paths = 0, []
    for path, _ in beneath.walk(at):
        paths.append(path)
        most = max(most, len(list(Path("/proc/self/fd").iterdir())) if len(paths) % 100 == 0 else 0)
    os.close(at)
    assert len(paths) == len(set(paths)) == 3 * 1500
    assert most - descriptors < 70
    assert opened < 40_000  # from the root each time it was over two million


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can give files away")
def test_a_tree_of_any_depth_is_handed_over(folder: Path) -> None:
    deep(folder, 1500)
    identity.hand_over(folder, 61_190)
    owners = set[int]()
    at = beneath.root(str(folder))
    owners.update(status.st_uid for _, status in beneath.walk(at))
    os.close(at)
    assert owners | {folder.stat().st_uid} == {61_190}


def test_a_supervisor_needs_no_other_module_for_it() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import supervisor.beneath; print('pathlib' in sys.modules)"
    parent = str(Path(beneath.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, parent], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
