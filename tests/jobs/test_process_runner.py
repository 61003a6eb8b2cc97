"""What only the process runner has: the writable layer over a shared environment, and its refusals."""

from __future__ import annotations

import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.jobs.runners import process, sandbox
from backends.jobs.runners.base import StartError
from backends.jobs.runners.process import ProcessRunner
from backends.jobs.spec import ImageRef

if TYPE_CHECKING:
    from tests.jobs.conftest import Lab


def write_wheel(folder: Path) -> Path:
    """Write a package with a module and a console script."""
    wheel = folder / "localmaker_probe-1.0-py3-none-any.whl"
    info = "localmaker_probe-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("localmaker_probe.py", "X = 42\ndef main(): print('script', X)\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: localmaker-probe\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlocalmaker-probe = localmaker_probe:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


INSTALL = """
import subprocess
subprocess.run(['pip', 'install', '-q', '--no-index', ml + '/model/' + {name!r}], check=True)
subprocess.run(['python', '-c', 'import localmaker_probe; print(localmaker_probe.X)'], check=True)
subprocess.run(['localmaker-probe'], check=True)
import pytest
print('shared packages too')
"""


def test_pip_installs_for_the_job_alone(lab: Lab) -> None:
    if lab.kind == "docker":
        pytest.skip("a container has its own file system")
    spec = lab.spec("pass")
    wheel = write_wheel(spec.hosts[0].opt_ml / "model")
    command = (*spec.command[:3], spec.command[3].removesuffix("pass") + INSTALL.format(name=wheel.name))
    spec = type(spec).from_json({**spec.to_json(), "command": command})
    handle = lab.start(spec)
    end = lab.runner.wait(handle, 60)
    assert end.ok, lab.texts(handle)
    assert lab.texts(handle)[-3:] == ["42", "script 42", "shared packages too"]
    assert not list(Path(sys.prefix).rglob("localmaker_probe*"))


def test_python_path_is_shown_to_the_job(lab: Lab, tmp_path: Path) -> None:
    if lab.kind == "docker":
        pytest.skip("an image brings its own code")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text("print('mine')")
    image = ImageRef(None, Path(sys.prefix), (), (tmp_path / "code",))
    assert lab.run(("python", "-m", "mine"), image=image)[1] == ["mine"]


def test_the_interpreter_of_the_environment_runs_by_its_path(lab: Lab) -> None:
    if lab.kind == "docker":
        pytest.skip("an image brings its own interpreter")
    end, texts = lab.run(("import sys; print(sys.flags.isolated)",), entrypoint=(f"{sys.prefix}/bin/python", "-c"))
    assert (end.ok, texts) == (True, ["0"])


def test_an_image_that_only_docker_can_run_says_so(tmp_path: Path) -> None:
    reason = ProcessRunner(tmp_path).refusal(ImageRef("customer/image:1"))
    assert reason == "Image customer/image:1 can only run on Docker: LocalMaker has no Python environment for it."


def test_isolation_is_refused_where_it_cannot_be_had(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    if lab.kind == "docker":
        pytest.skip("Docker has networks")
    monkeypatch.setattr(sandbox, "own_network", lambda: None)
    spec = lab.spec("pass", isolated=True)
    with pytest.raises(StartError, match="Network isolation needs"):
        lab.runner.start(spec)
    assert lab.runner.adopt() == []
    monkeypatch.undo()
    if lab.kind != "plain":
        assert lab.runner.wait(lab.start(spec), 30).ok  # the failure left nothing in the way


def test_a_plain_subprocess_warns_in_its_log(lab: Lab) -> None:
    handle = lab.start(lab.spec("pass", notes=("LocalMaker: a note of the caller's.",)))
    lab.runner.wait(handle, 30)
    ours = [line.text for line in lab.runner.logs(handle)]
    assert ours[0] == "LocalMaker: a note of the caller's."
    assert any("is a plain subprocess" in text for text in ours) == (lab.kind == "plain")


def test_addresses_of_living_jobs_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _: 5)  # every id falls on the same place
    runner = ProcessRunner(tmp_path)
    first, second = (runner._take_number(name) for name in ("one", "two"))
    assert first != second


def test_jobs_start_and_are_removed_from_many_threads(lab: Lab) -> None:
    if lab.kind == "docker":
        pytest.skip("the engine's own queue would be what is tested")

    def one(_: int) -> bool:
        handle = lab.runner.start(lab.spec(("true",)))
        end = lab.runner.wait(handle, 60)
        lab.runner.remove(handle)
        return bool(end and end.ok)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(40)))
    assert lab.runner.adopt() == []


def test_modules_of_a_shown_package_are_the_jobs_own(lab: Lab, tmp_path: Path) -> None:
    """Not through the shared environment, whose link may lead to another installation's package."""
    if lab.kind == "docker":
        pytest.skip("an image brings its own packages")
    package = tmp_path / "shown"
    (package / "modules").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "modules" / "of_the_image.py").write_text("print('imported')")
    image = ImageRef(None, Path(sys.prefix), (package,))
    assert lab.run("import of_the_image", image=image)[1] == ["imported"]


def test_no_job_has_the_proxy_of_another_localmakers_shell() -> None:
    proxy = "http://localmaker:key-of-another@127.0.0.1:4599"
    given = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "HTTP_PROXY": "http://ann:pw@proxy:3128",
        "NO_PROXY": "localhost",
    }
    inherited, _ = process._inherited({**given, "PIP_INDEX_URL": "https://localmaker.example/simple", "AWS_X": "1"})
    assert inherited == {
        "HTTP_PROXY": given["HTTP_PROXY"], "NO_PROXY": "localhost", "PIP_INDEX_URL": "https://localmaker.example/simple",
    }  # fmt: skip
