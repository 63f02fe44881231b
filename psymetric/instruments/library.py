"""Finding instruments: those that come with psymetric, by name, and the user's own, by path."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from psymetric.errors import StudyError
from psymetric.instruments.schema import Instrument, Inventory, PairTask, Rubric
from psymetric.instruments.yaml_files import Document, nearest, parse_yaml, read_yaml, validate

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["instrument_from_dict", "list_instruments", "list_texts", "load_instrument", "read_builtin_texts"]

_SCHEMAS: Final[Mapping[str, type[Inventory] | type[Rubric] | type[PairTask]]] = {
    "inventory": Inventory,
    "rubric": Rubric,
    "pair": PairTask,
}
_SUFFIXES: Final = (".yaml", ".yml")


def list_instruments() -> tuple[str, ...]:
    """Names of the built-in instruments."""
    return _names("builtin", ".yaml")


def load_instrument(name_or_path: str | Path, *, folder: str | Path = ".") -> Instrument:
    """An instrument, built in (by name) or from a YAML file (by path).

    Args:
        name_or_path: A name from `list_instruments()`, or a path that ends in .yaml or .yml.
        folder: What a relative path is relative to.

    Raises:
        StudyError: No such instrument or file, or the file does not follow the schema (file, line, field, nearest key).
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.lower().endswith(_SUFFIXES):
        return _validated(read_yaml(Path(folder) / text))
    if text not in list_instruments():
        raise StudyError(f"no instrument {text!r}; {nearest(text, list_instruments())}, or a path ending in .yaml")
    resource = _folder("builtin") / f"{text}.yaml"
    return _validated(parse_yaml(resource.read_text("utf-8"), source=f"{text}.yaml"))


def instrument_from_dict(data: Mapping[str, Any], *, source: str = "<instrument>") -> Instrument:
    """An instrument from plain data, as `model_dump()` wrote it.

    Raises:
        StudyError: The data does not follow the schema.
    """
    return _validated(Document(data, source))


def list_texts() -> tuple[str, ...]:
    """Names of the built-in sets of texts."""
    return _names("texts", ".jsonl")


def read_builtin_texts(name: str) -> str:
    """The JSON lines of a built-in set of texts.

    Raises:
        StudyError: No set has this name.
    """
    if name not in list_texts():
        raise StudyError(f"no texts {name!r}; {nearest(name, list_texts())}")
    return (_folder("texts") / f"{name}.jsonl").read_text("utf-8")


def _validated(document: Document) -> Instrument:
    data = document.data
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if isinstance(data, Mapping) and kind not in _SCHEMAS:
        found = f"got {kind!r}; {nearest(str(kind), _SCHEMAS)}" if "kind" in data else f"one of {', '.join(_SCHEMAS)}"
        raise StudyError(f"{document.source}: field kind is required: {found}")
    return validate(_SCHEMAS[str(kind)] if kind in _SCHEMAS else Rubric, document)


def _folder(name: str) -> Traversable:
    return files("psymetric.instruments") / name


def _names(folder: str, suffix: str) -> tuple[str, ...]:
    return tuple(sorted(e.name.removesuffix(suffix) for e in _folder(folder).iterdir() if e.name.endswith(suffix)))
