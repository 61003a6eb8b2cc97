"""Archives that anybody may have made: what is unpacked, what is refused, and that nothing lies outside."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from backends.jobs.archive import ArchiveError, Limits, unpack
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Iterator

Form = Literal[0, 1, 2]
Member = tuple[str, bytes, str | bytes]
FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def tar(*members: Member, form: Form = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of (name, type, content or the link's target), without its end."""
    blocks = []
    for name, kind, content in members:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = kind, 0o6710
        if isinstance(content, str):
            entry.linkname = content
        else:
            entry.size = len(content)
        blocks.append(entry.tobuf(form, "utf-8", "surrogateescape"))
        if isinstance(content, bytes):
            blocks.append(content + b"\0" * (-len(content) % 512))
    return b"".join(blocks)


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Hold a directory open."""
    path.mkdir(parents=True, exist_ok=True)
    fd = beneath.root(str(path))
    try:
        yield fd
    finally:
        os.close(fd)


def extract(target: Path, plain: bytes, limits: Limits | None = None, packed: bytes | None = None) -> None:
    """Unpack a tar, which is given as it is or gzipped already."""
    archive = target.parent / "archive.tar.gz"
    archive.write_bytes(gzip.compress(plain, 1) if packed is None else packed)
    with held(target) as at, archive.open("rb") as file:
        unpack(file, at, limits or Limits(), lambda: None)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_files_folders_and_links_that_stay_inside(tmp_path: Path, form: Form) -> None:
    long = "/".join(["n" * 200] * 10)
    members: list[Member] = [
        ("./", FOLDER, b""),
        ("./a/b/file", FILE, b"x" * 1000),
        (f"{long}/\udcff", FILE, b"long"),
        ("a/empty", FOLDER, b""),
        ("a/b/up", LINK, "../../top"),
        ("a/by-link", LINK, "b/up"),
        ("twice", HARD, "a/b/file"),
        ("top", FILE, b"first"),
        ("top", FILE, b"second"),
        ("twice", HARD, "twice"),
    ]
    target = tmp_path / "model"
    extract(target, tar(*members, form=form))
    assert (target / "a" / "by-link").read_bytes() == b"second"
    assert (target / "twice").read_bytes() == b"x" * 1000
    assert (target / long / "\udcff").read_bytes() == b"long"
    assert (target / "top").stat().st_mode & 0o7777 == 0o754
    assert (target / "a" / "empty").stat().st_mode & 0o7777 == 0o777


# The kind of CVE-2025-4517: sixteen links, each to a long folder, whose whole path is longer than PATH_MAX when resolved.
CHAIN: list[Member] = []
_at = ""
for _letter in "abcdefghijklmnop":
    CHAIN += [(f"{_at}{'d' * 247}", FOLDER, b""), (f"{_at}{_letter}", LINK, "d" * 247)]
    _at += "d" * 247 + "/"
_short = "/".join("abcdefghijklmnop")

REFUSED: dict[str, list[Member]] = {
    "upwards": [("../out", FILE, b"x")],
    "upwards-later": [("a/../../out", FILE, b"x")],
    "absolute": [("{out}", FILE, b"x")],
    "through-a-link": [("l", LINK, "."), ("l/out", FILE, b"x")],
    "link-to-absolute": [("l", LINK, "{out}"), ("l", FILE, b"x")],
    "link-upwards": [("a/l", LINK, "../../out")],
    "link-by-link": [("d/e/l", LINK, ".."), ("x", LINK, "d/e/l/../..")],
    "link-behind-a-name": [("x", LINK, "a/../../out")],
    "link-to-itself-as-a-folder": [("l", LINK, ".."), ("l/out", FILE, b"x")],
    "hard-link-outside": [("h", HARD, "../out")],
    "hard-link-to-absolute": [("h", HARD, "{out}")],
    "hard-link-to-a-link": [("l", LINK, "x"), ("h", HARD, "l")],
    "hard-link-through-a-link": [("a/f", FILE, b""), ("l", LINK, "a"), ("h", HARD, "l/f")],
    "hard-link-to-a-folder": [("a", FOLDER, b""), ("h", HARD, "a")],
    "hard-link-to-nothing": [("h", HARD, "gone")],
    "device": [("d", tarfile.CHRTYPE, b"")],
    "block-device": [("d", tarfile.BLKTYPE, b"")],
    "fifo": [("f", tarfile.FIFOTYPE, b"")],
    "sparse": [("f", tarfile.GNUTYPE_SPARSE, b"")],
    "file-over-a-folder": [("a", FOLDER, b""), ("a", FILE, b"x")],
    "long-component": [("n" * 256, FILE, b"x")],
    "long-name": [("/".join(["n" * 250] * 17), FILE, b"x")],
    "deep": [("/".join("n" * 257), FILE, b"x")],
    "path-max": [
        *CHAIN,
        (f"{_short}/{'l' * 254}", LINK, "../" * 16),
        ("escape", LINK, f"{_short}/{'l' * 254}/../../out"),
        ("escape", FILE, b"x"),
    ],
    "path-max-written-through": [*CHAIN, (f"{_short}/out", FILE, b"x")],
}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("attack", REFUSED)
def test_what_leads_outside_is_refused_and_nothing_lies_there(tmp_path: Path, attack: str, form: Form) -> None:
    target, out = tmp_path / "in" / "model", tmp_path / "in" / "out"
    target.parent.mkdir()
    members = [
        (name.format(out=out), kind, content.format(out=out) if isinstance(content, str) else content)
        for name, kind, content in REFUSED[attack]
    ]
    with pytest.raises(ArchiveError):
        extract(target, tar(*members, form=form))
    assert sorted(path.name for path in (*tmp_path.iterdir(), *target.parent.iterdir())) == [
        "archive.tar.gz",
        "in",
        "model",
    ]


def header(kind: bytes, size: int) -> bytes:
    """Return the header of a member that claims a size."""
    entry = tarfile.TarInfo("member")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def record(key: str, value: str) -> bytes:
    """Return an extended header of one record."""
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body)))
    length = len(body) + len(str(length))
    content = str(length).encode() + body
    return header(tarfile.XHDTYPE, len(content)) + content + b"\0" * (-len(content) % 512)


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"no header" * 100,
        tar(("f", FILE, b"x" * 600))[:1000],
        tar(("f", FILE, b"x")) + b"rubbish" * 100,
        header(tarfile.XHDTYPE, 8 << 30),
        header(tarfile.GNUTYPE_LONGNAME, 8 << 30),
        header(tarfile.XHDTYPE, 512) + b"1" * 512,
        header(tarfile.XHDTYPE, 512) + b"600 path=x\n".ljust(512, b"\0") + tar(("f", FILE, b"")),
        record("size", "-512") + tar(("f", FILE, b"")),
        record("size", "9" * 5000) + tar(("f", FILE, b"")),
        record("path", "a\0b") + tar(("f", FILE, b"")),
        record("GNU.sparse.major", "1") + tar(("f", FILE, b"")),
        record("linkpath", "") + tar(("f", LINK, "x")),
        (header(tarfile.XHDTYPE, 0) * 5000) + header(tarfile.XHDTYPE, -1 & 0o777),
    ],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(ArchiveError):
        extract(tmp_path / "model", plain)


def test_archives_that_are_broken_as_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(tar(("f", FILE, os.urandom(100_000))))
    for packed in (b"", b"no gzip", whole[: len(whole) // 2], whole[:20] + bytes(1000) + whole[1020:]):
        with pytest.raises(ArchiveError):
            extract(tmp_path / "model", b"", packed=packed)


def test_bombs_end_at_a_limit(tmp_path: Path) -> None:
    zeros = tar(("f", FILE, bytes(8 << 20)))
    with pytest.raises(ArchiveError, match="volume"):
        extract(tmp_path / "a", zeros, Limits(total_bytes=1 << 20))
    with pytest.raises(ArchiveError, match="times its own size"):
        extract(tmp_path / "b", zeros, Limits(growth_from_bytes=1 << 20))
    extract(tmp_path / "c", zeros)
    for members in ([(f"f{number}", FILE, b"") for number in range(101)], [("/".join("n" * 101), FOLDER, b"")]):
        with pytest.raises(ArchiveError, match="more than 100 files"):
            extract(tmp_path / "d", tar(*members), Limits(entries=100))


def test_an_unpacking_can_be_ended(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000
    )  # a name in gzip's own header that does not end

    def stop() -> None:
        raise InterruptedError

    with held(tmp_path / "model") as at, archive.open("rb") as file, pytest.raises(InterruptedError):
        unpack(file, at, Limits(), stop)


def test_what_tarfile_writes_is_read(tmp_path: Path) -> None:
    source = Path(__file__).parent
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        made, target = io.BytesIO(), tmp_path / str(form)
        with tarfile.open(fileobj=made, mode="w:gz", format=form) as archive:
            archive.add(source, arcname=".", filter=lambda entry: None if "__pycache__" in entry.name else entry)
        extract(target, b"", packed=made.getvalue())
        expected = {path.name: path.read_bytes() for path in source.iterdir() if path.is_file()}
        assert {path.name: path.read_bytes() for path in target.iterdir()} == expected
        assert (target / "conftest.py").stat().st_mtime == pytest.approx(
            (source / "conftest.py").stat().st_mtime, abs=1
        )
