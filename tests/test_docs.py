"""Documentation that cannot drift: components, settings, commands and links."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import backends
from backends.core.declared.settings import declared
from backends.core.settings import Settings, manual, variable_of
from server.cli import app

ROOT = Path(backends.__file__).resolve().parents[1]
_SPEC = spec_from_file_location("coverage_page", ROOT / "docs" / "coverage.py")
assert _SPEC is not None
assert _SPEC.loader is not None
coverage: Any = module_from_spec(_SPEC)
_SPEC.loader.exec_module(coverage)
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("containers/*/*.md")]
)
NOT_COMPONENTS = {"core", "jobs", "aws"}
COMPONENTS = sorted(
    path.parent.name for path in (ROOT / "backends").glob("*/__init__.py") if path.parent.name not in NOT_COMPONENTS
)
DEFAULT_FOLDERS = {"data_dir": "~/.local/share/localmaker", "cache_dir": "~/.cache/localmaker"}


def settings_table() -> str:
    """Write the README's table of settings."""
    rows = ["| variable | default | |", "|---|---|---|"]
    kinds: list[type[Any]] = [Settings, *(each.kind for each in declared(backends.load_components()))]
    for entry, sentence in (
        (entry, manual(kind).get(variable_of(entry.name))) for kind in kinds for entry in fields(kind)
    ):
        if sentence is None:  # what settings are read from
            continue
        default = DEFAULT_FOLDERS.get(entry.name, entry.default if entry.default is not MISSING else "")
        shown = f"`{int(default) if isinstance(default, bool) else default}`" if default not in {"", None} else ""
        rows.append(f"| `{variable_of(entry.name)}` | {shown} | {sentence} |")
    return "\n".join(rows)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_documents_itself(component: str) -> None:
    tree = ast.parse((ROOT / "backends" / component / "__init__.py").read_text(encoding="utf-8"))
    text = " ".join((ast.get_docstring(tree) or "").split())
    for part in ("AWS calls it:", "States", "Tables:", "Guide:"):
        assert part in text, f"backends/{component}/__init__.py does not say {part}"
    assert re.search(r"Events( sent)?:", text), "which events it sends and hears"
    assert "https://docs.aws.amazon.com/" in text


def test_the_readme_has_every_setting() -> None:
    table = re.search(r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", README, re.DOTALL)
    assert table is not None
    assert table[1].strip() == settings_table(), "python -m tests.test_docs writes it anew"


def test_the_readme_names_only_commands_that_there_are() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = {
        word for line in re.findall(r"localmaker ([a-z]+(?: \| [a-z]+(?: NAME)?)*)", README) for word in line.split()
    }
    assert named - {"|", "NAME"} <= commands
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for text in DOCUMENTS for name in re.findall(r"`?make ([a-z-]+)`", text.read_text())} <= targets


@pytest.mark.parametrize("document", [str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert ((ROOT / document).parent / target).exists(), target


def test_the_pages_of_what_is_built_are_those_of_the_ledger() -> None:
    for name, text in (("coverage.md", coverage.page()), ("coverage.json", coverage.as_json())):
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "python docs/coverage.py writes it anew"


if __name__ == "__main__":
    new = re.sub(
        r"(<!-- settings -->\n).*?(<!-- /settings -->)", rf"\g<1>{settings_table()}\n\g<2>", README, flags=re.DOTALL
    )
    (ROOT / "README.md").write_text(new, encoding="utf-8")
