"""pyproject.toml declares what the package imports, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Declared although nothing imports them by name.
INDIRECT = {
    "filelock": "JAX locks its compilation cache with it, which processes share",
    "pyarrow": "pandas keeps its strings and reads Parquet with it",
}
# Installed by a declared package, whose interface they are.
BROUGHT = {
    "jaxlib": "jax",
    "xarray": "arviz",
    "pytensor": "pymc",
    "arviz-stats": "arviz",
    "pydantic-core": "pydantic",
    "click": "typer",
    "anyio": "httpx",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]) for requirement in requirements}


@cache
def imported_distributions() -> dict[str, str]:
    """Distribution imported anywhere in psymetric/, and the first file that does so."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for path in sorted((ROOT / "psymetric").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"psymetric"}:
                for distribution in owners.get(top, [top]):
                    found.setdefault(normal(distribution), path.relative_to(ROOT).as_posix())
    return found


def test_every_import_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    optional = declared([r for extra in ("pymc", "postgres", "ray") for r in extras[extra]])
    known = declared(PROJECT["dependencies"]) | optional | set(BROUGHT)
    assert not {name: path for name, path in imported_distributions().items() if name not in known}


def test_every_dependency_is_used() -> None:
    assert declared(PROJECT["dependencies"]) - set(imported_distributions()) - set(INDIRECT) == set()


def test_architecture_gives_a_reason_for_each_dependency() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert not {name for name in declared(PROJECT["dependencies"]) if f"`{name}`" not in text}
