"""The house rules that a linter does not know: lengths, exports, and things that never appear in the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "psymetric"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
SCRIPTS = [path for folder in ("examples", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60  # without the docstring: documenting a function must not make it "too long"
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}
PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal"}
MACHINE_PATH = re.compile(r"/(?:home|root|Users|work|workspace)/\w|[A-Z]:\\\\?Users")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(node: ast.AST, *, public: bool = True) -> Iterator[tuple[Function, bool]]:
    """Every function below `node`, and whether users can reach it: no private name, no function, around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            reachable = public and not (child.name.startswith("_") and not child.name.startswith("__"))
            yield child, reachable
            yield from functions(child, public=False)
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, public=public and not child.name.startswith("_"))
        else:
            yield from functions(child, public=public)


def code_lines(function: Function) -> int:
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def imported(tree: ast.Module) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *SCRIPTS], ids=name_of)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{name_of(path)} has {lines} lines: split it by concept"


@each_module
def test_functions_are_short(path: Path) -> None:
    long = {f.name: n for f, _ in functions(tree_of(path)) if (n := code_lines(f)) > MAX_FUNCTION_LINES}
    assert not long, f"{name_of(path)}: {long}"


@each_module
def test_public_functions_take_no_kwargs(path: Path) -> None:
    swallowing = [f.name for f, public in functions(tree_of(path)) if public and f.args.kwarg]
    assert not swallowing, f"{name_of(path)}: {swallowing} would accept a misspelt argument in silence"


@each_module
def test_module_has_a_docstring_and_all(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    targets = [t for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) for t in assigned(node)]
    exports_nothing = path.name in {"__init__.py", "__main__.py"} and not imported(tree) - {"__future__"}
    private = path.name.startswith("_") and path.name != "__init__.py"
    assert "__all__" in targets or exports_nothing or private, f"{name_of(path)} has no __all__"


def assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py" and p.parent != PACKAGE], ids=name_of)
def test_init_only_exports(path: Path) -> None:
    def exports(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            return assigned(node) == ["__all__"]
        return isinstance(node, ast.Expr | ast.Import | ast.ImportFrom)

    others = [ast.unparse(node)[:60] for node in tree_of(path).body if not exports(node)]
    assert not others, f"{name_of(path)} holds more than exports: {others}"


@each_module
def test_no_assert_in_the_package(path: Path) -> None:
    lines = [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]
    assert not lines, (
        f"{name_of(path)}: `assert` at lines {lines} vanishes under python -O; raise an error that names the mend"
    )


@each_module
def test_no_pickle(path: Path) -> None:
    tree = tree_of(path)
    pickled = {name for name in imported(tree) if name.split(".")[0] in PICKLERS}
    allowed = [
        keyword.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "allow_pickle"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert not pickled, f"{name_of(path)} imports {pickled}"
    assert not allowed, f"{name_of(path)} allows pickles at lines {allowed}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_name_says_what_it_holds(path: Path) -> None:
    assert path.stem not in VAGUE_NAMES
    assert path.parent.name not in VAGUE_NAMES


def test_no_machine_paths() -> None:
    texts = [p for suffix in ("py", "yaml", "md", "toml", "html", "css", "js") for p in ROOT.glob(f"*/**/*.{suffix}")]
    ours = [p for p in [*texts, *ROOT.glob("*.*")] if p.is_file() and is_source(p)]
    found = {
        f"{name_of(path)}:{number}": line.strip()
        for path in ours
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    }
    assert not found


def is_source(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    if path.name == ".git":  # a worktree names its repository there
        return False
    return parts[0] in {"psymetric", "tests", "docs", "examples", "benchmarks", "scripts"} or len(parts) == 1


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in TESTS]
    assert not {name for name in names if names.count(name) > 1}
    assert not list((ROOT / "tests").rglob("__init__.py"))
