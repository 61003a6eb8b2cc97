"""What the toy component declares beside its resources: settings of its own, and a console page."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from backends.core.declared.pages import Page
from backends.core.declared.settings import ComponentSettings
from backends.core.kernel import Kernel
from backends.core.settings import SettingError, Settings, manual
from tests.toy import component
from tests.toy.settings import SETTINGS, ToySettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def make_kernel(tmp_path: Path) -> Callable[..., Kernel]:
    """Return `make_kernel(*modules, **variables)`."""

    def make(*modules: ModuleType, **variables: str) -> Kernel:
        kernel = Kernel(Settings.read(variables, data_dir=tmp_path), modules)
        kernel.db.close()
        return kernel

    return make


def module_of(**values: object) -> ModuleType:
    module = ModuleType("another")
    vars(module).update(values)
    return module


def test_a_components_own_settings_are_read_once_from_the_environment(make_kernel: Callable[..., Kernel]) -> None:
    assert SETTINGS.of(make_kernel(component)).toy_most_children == 9
    kernel = make_kernel(component, LOCALMAKER_TOY_MOST_CHILDREN="2", SECRET="x")
    assert SETTINGS.of(kernel) is SETTINGS.of(kernel)
    assert SETTINGS.of(kernel) == ToySettings(2)
    assert kernel.settings.environment == {"LOCALMAKER_TOY_MOST_CHILDREN": "2"}
    assert manual(ToySettings) == {
        "LOCALMAKER_TOY_MOST_CHILDREN": "Compilation jobs that one recommendation job may make."
    }


def test_a_bad_value_or_a_variable_that_is_taken_ends_the_start(make_kernel: Callable[..., Kernel]) -> None:
    with pytest.raises(SettingError, match="LOCALMAKER_TOY_MOST_CHILDREN='many' is not a number"):
        make_kernel(component, LOCALMAKER_TOY_MOST_CHILDREN="many")
    with pytest.raises(ValueError, match="declared twice: LOCALMAKER_TOY_MOST_CHILDREN"):
        make_kernel(component, module_of(SETTINGS=ComponentSettings(ToySettings)))


def test_a_page_is_in_the_menu_and_imported_at_its_first_visit(make_kernel: Callable[..., Kernel]) -> None:
    (page,) = make_kernel(component).pages
    assert (page.path, page.title, page.load()()) == ("/toys", "Toys", "compilation jobs")
    with pytest.raises(ValueError, match="two pages are at /toys"):
        make_kernel(component, module_of(PAGE=Page("/toys", "Others", "tests.toy.page:build")))
    code = "import sys, tests.toy.component; sys.exit('tests.toy.page' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_says_which_setting_is_bad(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server.cli", "start", "--port", "0", "--data-dir", str(tmp_path / "data")]
    for variable, text in {
        "LOCALMAKER_GPU": "must be one of auto, cpu",
        "LOCALMAKER_AUTH": "must be one of off",
    }.items():
        ran = subprocess.run(
            command, env={**os.environ, variable: "x"}, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
        assert f"{variable} {text}" in ran.stderr
