"""Rules of the project that no linter knows. Each failure message says what to do."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import backends
from api_specs import model
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from backends.core.states import Machine
from backends.jobs import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(backends.__file__).resolve().parents[1]
PACKAGES = ("api_specs", "backends", "containers", "server")
LONGEST_FILE, LONGEST_KERNEL_FILE, LARGEST_KERNEL_PACKAGE = 500, 300, 4900
# Layers, from the lowest: a module imports from layers below its own and from its own component.
CORE, JOBS, COMPONENT, SERVER = 1, 2, 3, 4


def sources(*packages: str) -> list[Path]:
    """Return every Python file of some packages."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return a file's module name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources(*PACKAGES)}


def layer_of(module: str) -> tuple[int, str]:
    """Return a module's layer and its component."""
    parts = module.split(".")
    if parts[0] == "api_specs":
        return 0, "api_specs"
    if parts[0] == "server":
        return SERVER, "server"
    if parts[:3] == ["backends", "jobs", "supervisor"]:
        return 0, "supervisor"  # a program of the standard library alone, which imports nothing of ours
    component = ".".join(parts[: 3 if parts[1:2] == ["aws"] else 2])
    return {"backends.core": CORE, "backends.jobs": JOBS}.get(component, COMPONENT), component


@cache
def imports(module: str) -> tuple[tuple[str, bool], ...]:
    """Return the modules of ours that a module imports, each with whether that happens while it is being imported."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    return tuple(_imports(tree, package, at_once=True))


def _imports(node: ast.AST, package: str, *, at_once: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = at_once and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            inside = False
        if isinstance(child, ast.Import):
            yield from ((name.name, at_once) for name in child.names if name.name in MODULES)
        elif isinstance(child, ast.ImportFrom):
            up = package.rsplit(".", child.level - 1)[0] if child.level else ""
            base = ".".join(filter(None, [up, child.module]))
            for name in child.names:
                imported = f"{base}.{name.name}" if f"{base}.{name.name}" in MODULES else base
                if imported in MODULES:
                    yield imported, at_once
        else:
            yield from _imports(child, package, at_once=inside)


def test_imports_point_downwards_and_no_component_imports_a_component() -> None:
    broken = []
    for module in MODULES:
        if module.split(".")[0] == "containers" or module == "backends":
            continue
        layer, component = layer_of(module)
        for imported, _ in imports(module):
            if imported == "backends" and layer == SERVER:
                continue  # the HTTP layer loads the components
            their_layer, their_component = layer_of(imported)
            if their_component != component and their_layer >= layer:
                broken.append(f"{module} imports {imported}")
    assert broken == [], "a component reaches another through cx.call or an event"


def test_containers_import_nothing_of_ours_and_nobody_imports_containers() -> None:
    for module in MODULES:
        inside = module.split(".")[0] == "containers"
        for imported, _ in imports(module):
            assert (imported.split(".")[0] == "containers") == inside, f"{module} imports {imported}"


def test_the_model_imports_botocore_only() -> None:
    taken = set()
    for path in sources("api_specs"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                taken |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                taken.add((node.module or "").split(".")[0])
    standard = importlib.import_module("sys").stdlib_module_names
    assert taken - set(standard) <= {"api_specs", "botocore"}


def circles(imported: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Return every circle of imports by its modules (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    made: list[tuple[str, ...]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for other in imported.get(module, ()):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            start = path.index(module)
            made.append(tuple(sorted(path[start:])))
            del path[start:]

    for module in imported:
        if module not in order:
            visit(module)
    return [circle for circle in made if len(circle) > 1]


def test_no_module_imports_itself_through_others() -> None:
    """Imports for types count, and those inside functions: the tree reads from the bottom up."""
    imported = {module: [other for other, _ in imports(module) if other != module] for module in MODULES}
    assert circles(imported) == [], "a small module of the words that both need is missing below them"


def test_circles_are_seen() -> None:
    imported = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": ["e"], "e": ["d"], "f": ["a"]}
    assert circles(imported) == [("d", "e"), ("a", "b", "c")]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_only_what_runs_at_import_makes_a_circle() -> None:
    at_once = {"import server.cli": True, "def later():\n    import server.cli": False}
    at_once["if TYPE_CHECKING:\n    import server.cli"] = False
    for text, expected in at_once.items():
        assert list(_imports(ast.parse(text), "server", at_once=True)) == [("server.cli", expected)]


def test_what_lives_in_memory_has_a_type_and_a_name() -> None:
    inside = ROOT / "backends" / "core" / "memory.py"
    paths = [path for path in sources("backends", "server", "tests", "bench") if path != inside]
    reads = [str(path.relative_to(ROOT)) for path in paths if re.search(r"kernel\.state\b(?!\\)", path.read_text())]
    assert reads == [], "declare an InMemory (backends/core/memory.py)"


@pytest.mark.parametrize("package", [*PACKAGES, "tests", "examples", "bench", "docs"])
def test_no_file_is_longer_than_500_lines(package: str) -> None:
    long = {str(path.relative_to(ROOT)): _length(path) for path in sources(package) if _length(path) > LONGEST_FILE}
    assert long == {}, "split it along its concerns"


def test_the_kernel_stays_small() -> None:
    """Each package of the kernel by itself; the schema's history grows without end."""
    packages: dict[str, int] = {}
    for path in sources("backends/core"):
        if "migrations" not in path.parts:
            assert _length(path) <= LONGEST_KERNEL_FILE, path
            package = str(path.parent.relative_to(ROOT))
            packages[package] = packages.get(package, 0) + _length(path)
    assert {name: size for name, size in packages.items() if size > LARGEST_KERNEL_PACKAGE} == {}


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    settings = Settings.read({}, data_dir=tmp_path_factory.mktemp("architecture"))
    return Kernel(settings, backends.load_components())


def test_every_component_is_there_and_declares_something(kernel: Kernel) -> None:
    names = {module.__name__ for module in kernel.modules}
    assert names == set(backends.COMPONENTS)
    assert len(backends.COMPONENTS) == len(set(backends.COMPONENTS))


def test_every_module_with_handlers_is_announced(kernel: Kernel) -> None:
    marks = ("@operation(", "@on(", "@every(", "@drives(", "@drives_containers(", "@drives_service(")
    announced = {module.__name__ for module in kernel.modules}
    forgotten = [
        module
        for module, path in MODULES.items()
        if module.startswith("backends.")
        and layer_of(module)[0] == COMPONENT
        and any(line.startswith(marks) for line in path.read_text(encoding="utf-8").splitlines())
        and module not in announced
    ]
    assert forgotten == [], "add it to COMPONENTS in backends/__init__.py"


def test_every_operation_has_one_handler_and_is_the_models() -> None:
    places = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for service, name in _marked(node):
                places[service, name].append(module)
    assert {key: where for key, where in places.items() if len(where) > 1} == {}
    assert len(places) > 20
    assert [key for key in places if not model.has_operation(key[1], key[0])] == []


def _marked(node: ast.AST) -> Iterator[tuple[str, str]]:
    for mark in getattr(node, "decorator_list", ()):
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "operation":
            given = {keyword.arg: keyword.value for keyword in mark.keywords}
            service = ast.literal_eval(given["service"]) if "service" in given else "sagemaker"
            yield from ((service, ast.literal_eval(name)) for name in mark.args)


def test_every_noun_is_the_models_and_its_states_are_too(kernel: Kernel) -> None:
    assert kernel.resources
    for noun, declared in kernel.resources.items():
        assert model.has_operation(declared.describe)
        if declared.machine is None:
            assert declared.status_member == ""
            continue
        assert isinstance(declared.machine, Machine)
        shown = model.operation(declared.describe).output_shape
        allowed = set(shown.members[declared.status_member].enum)
        assert declared.machine.states <= allowed, f"{noun} has states that AWS does not know"


def test_every_kind_of_work_says_how_it_is_shown(kernel: Kernel) -> None:
    driven = {
        module.rpartition(".")[0]
        for module, path in MODULES.items()
        if re.search(r"^@drives(_containers)?\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    said = {
        module.__name__.rpartition(".")[0]
        for module in kernel.modules
        if any(isinstance(value, kinds.Shown) for value in vars(module).values())
    }
    assert driven == said, "declare a Shown (backends/jobs/kinds.py) beside what drives it"
    assert {kind.noun for kind in kinds.shown(kernel)} <= kernel.resources.keys()


# Words that a reader would have to learn, where the field has its own. AWS's and Python's own names stay.
OUT_OF_NAMES = re.compile(
    r"(?:^|_)(?:ask|asks|asked|asker|bells?|doorbell|rings?|rung|rooms?|doors?|floors?|house|drawers?|take_up|let_go)(?:_|$)"
)
OUT_OF_TEXTS = re.compile(
    r"\b(?:bells?|doorbell|rings|rooms?|doors?|floors?|drawers?|lets? go|letting go|takes? up|nobody made)\b",
    re.IGNORECASE,
)
OUT_OF_BEGINNINGS = re.compile(r"(?:Gives?|Tells?|Says?|Hands?)\b")
OUT_OF_VALUES = {"found", "mine"}  # which row, whose subscription? The noun says it.
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


CLIENTS = ("localmaker_client", "localmaker_container", "localmaker_pytest")


@pytest.mark.parametrize("package", [*PACKAGES, *CLIENTS, "tests", "bench", "docs", "examples"])
def test_names_comments_and_docstrings_use_the_words_of_the_field(package: str) -> None:
    """A principal sends a request, a queue is notified, a component stands in a layer; a docstring returns, it does not give or tell."""
    out = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sources(package) or [ROOT / f"{package}.py"]
        for line, word in words_out(path.read_text(encoding="utf-8"))
    ]
    assert out == [], "say it in the field's own words, which a reader knows already"


def words_out(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the word of everything that is said in words that are out."""
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from ((token.start[0], hit[0]) for hit in OUT_OF_TEXTS.finditer(token.string))
        elif token.type == tokenize.NAME:
            name = CAMEL.sub("_", token.string).lower()
            is_a_librarys = previous == "." and name in {"floor", "ask"}  # math's; Optuna's
            is_sentence = name.startswith("test_")
            if (OUT_OF_NAMES.search(name) and not (is_a_librarys or is_sentence)) or name in OUT_OF_VALUES:
                yield token.start[0], token.string
        previous = token.string
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node) or ""
        line = getattr(node, "lineno", 1)
        hits = [*OUT_OF_TEXTS.finditer(docstring), *filter(None, [OUT_OF_BEGINNINGS.match(docstring)])]
        yield from ((line, hit[0]) for hit in hits)


def test_words_that_are_out_are_seen() -> None:
    names = "class Asker: ...\ndef take_up(asked, found): return self._bell, keyring, math.floor"
    assert [word for _, word in words_out(names)] == ["Asker", "take_up", "asked", "found", "_bell"]
    texts = (
        'def f():\n    """Give the room."""  # a bell, let go; never asked\ndef g(): """Return whether it found one."""'
    )
    assert [word for _, word in words_out(texts)] == ["bell", "let go", "room", "Give"]
    assert list(words_out('TEXT = "a door"  # a string is data')) == []
