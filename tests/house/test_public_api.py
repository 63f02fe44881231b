"""The public names: each resolves, is documented, is typed, and takes its options by keyword."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import psymetric

ROOT = Path(__file__).resolve().parents[2]
EXPORTS: dict[str, str] = psymetric._EXPORTS  # pyright: ignore[reportPrivateUsage]

each_export = pytest.mark.parametrize(("name", "module"), sorted(EXPORTS.items()))


@each_export
def test_export_resolves_and_is_owned_by_its_module(name: str, module: str) -> None:
    value = getattr(psymetric, name)
    owner = import_module(module)
    assert value is getattr(owner, name)
    assert name in owner.__all__
    assert value.__module__ == module, "the map names the module that defines it"


@each_export
def test_export_is_documented(name: str, module: str) -> None:
    own = vars(getattr(psymetric, name)) if inspect.isclass(getattr(psymetric, name)) else None
    text = own.get("__doc__") if own is not None else inspect.getdoc(getattr(psymetric, name))
    # A dataclass without a docstring is given its signature as one.
    assert text, f"{module}.{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{module}.{name} has no docstring of its own"


@each_export
def test_options_of_functions_are_keyword_only(name: str, module: str) -> None:
    value = getattr(psymetric, name)
    if not inspect.isfunction(value):
        pytest.skip("a class: its fields are covered by its own module")
    optional = [
        p.name
        for p in inspect.signature(value).parameters.values()
        if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY
    ]
    assert not optional, f"{module}.{name}: {optional} must follow `*`"


def test_all_is_complete() -> None:
    assert psymetric.__all__ == ["__version__", *sorted(EXPORTS)]
    assert dir(psymetric) == sorted(psymetric.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'psymetric' has no attribute 'Raschh'"):
        _ = psymetric.Raschh


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "psymetric" / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == EXPORTS


def test_package_and_function_never_share_a_name() -> None:
    packages = {path.parent.name for path in (ROOT / "psymetric").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "psymetric").glob("*.py")}
    assert not (packages | modules) & set(EXPORTS)


def test_every_exception_is_public_and_in_the_tree() -> None:
    errors = import_module("psymetric.errors")
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.PsymetricError) for name in defined)
    assert all(name in (errors.__doc__ or "") for name in defined), "the docstring of errors.py draws the tree"
