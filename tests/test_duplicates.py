"""No component repeats another: what two of them say stands once, below both."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.test_architecture import ROOT, layer_of, module_of, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINES = 6
LEAST_DIFFERENT = 5  # fewer among them are a list of fields


def lines_of(text: str) -> list[str]:
    """Return a module's functions and classes, line by line, without own names, texts, imports and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = "n"
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = "n", None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "t"
    code = (
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    lines = (line.strip() for each in code for line in each.splitlines())
    return [line for line in lines if not line.startswith(("'", '"', "import ", "from "))]


def duplicates(modules: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the places that share LINES lines, of (component, place, text)."""
    places: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for component, place, text in modules:
        lines = lines_of(text)
        for start in range(len(lines) - LINES + 1):
            run = tuple(lines[start : start + LINES])
            if len(set(run)) >= LEAST_DIFFERENT:
                places[run].setdefault(component, place)
    yield from sorted({" ~ ".join(of.values()) for of in places.values() if len(of) > 1})


def test_no_component_says_what_another_says() -> None:
    paths = [path for path in sources("backends") if "migrations" not in path.parts]
    modules = ((layer_of(module_of(path))[1], str(path.relative_to(ROOT)), path.read_text()) for path in paths)
    assert list(duplicates(modules)) == [], "let it stand once, in a module below both"


def test_a_duplicate_is_seen_whatever_its_names() -> None:
    one = "def f(a):\n    '''Say.'''\n    b = a.get('x')\n    if not b:\n        return 1\n    b.go(a)\n    return b + a\n"
    other = one.replace("b", "c").replace("Say", "Do").replace("'x'", "'y'").replace("def f(a)", "def g(a: int)")
    assert list(duplicates([("one", "1", one), ("other", "2", other.replace("g(", "f("))])) == ["1 ~ 2"]
    assert list(duplicates([("one", "1", one), ("other", "2", one.replace("get", "put"))])) == []
