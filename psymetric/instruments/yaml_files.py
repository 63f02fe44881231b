"""Reading YAML into a pydantic model, with errors that name the file, the line, the field and the nearest valid key.

Only safe YAML is read: no tags that build objects, no repeated keys, no nested aliases that swell when expanded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from psymetric.errors import StudyError

__all__ = ["Document", "nearest", "parse_yaml", "read_yaml", "validate"]

Location = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

_MAX_BYTES: Final = 20_000_000
_MAX_NODES: Final = 1_000_000
_SHOWN: Final = 3


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys, which PyYAML would silently overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is repeated", key_node.start_mark)
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes:
        data: Plain Python data.
        source: What errors call the file.
        root: The node tree, which knows the lines.
    """

    data: Any
    source: str
    root: yaml.Node | None = None

    def line(self, location: Location) -> int | None:
        """Line (from 1) of the deepest part of `location` that the file holds, or None when unknown."""
        node, line = self.root, None
        for part in location:
            child = _child(node, part)
            if child is None:
                break
            node, line = child
        return line


def nearest(name: str, valid: Iterable[str]) -> str:
    """Advice for a name that is not valid: "did you mean X?" where something is close, and always the valid ones."""
    options = [str(option) for option in valid]
    close = get_close_matches(str(name), options, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(options) if options else 'none'}"


def read_yaml(path: str | Path) -> Document:
    """Read one YAML file.

    Raises:
        StudyError: The file is missing, unreadable, not UTF-8, too large, malformed (with line and column), or empty.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    if len(raw) > _MAX_BYTES:
        raise StudyError(
            f"{path}: {len(raw):,} bytes is more than a study or instrument file may hold ({_MAX_BYTES:,})"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    return parse_yaml(text, source=str(path))


def parse_yaml(text: str, *, source: str = "<text>") -> Document:
    """Parse YAML text; `source` is what errors call it.

    Raises:
        StudyError: The text is malformed (with line and column), empty, or swells through aliases.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise StudyError(f"{source}: the file is empty")
        if _expanded_size(root, {}) > _MAX_NODES:
            raise StudyError(f"{source}: aliases expand to more than {_MAX_NODES:,} values; write them out")
        data = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1} column {mark.column + 1}:" if mark else ""
        raise StudyError(f"{source}:{where} {error.problem or error.context or 'malformed YAML'}") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{source}: malformed YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(f"{source}: malformed YAML: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()
    return Document(data, source, root)


def validate(schema: type[ModelT], document: Document) -> ModelT:
    """The document as `schema`.

    Raises:
        StudyError: Naming file, line and field path of the first problems, with the nearest valid key for an
            unknown one.
    """
    if not isinstance(document.data, Mapping):
        found = type(document.data).__name__
        raise StudyError(f"{document.source}: expected a mapping of fields such as `name: …`, got a {found}")
    try:
        return schema.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(schema, document, detail) for detail in error.errors(include_url=False)]
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise StudyError(f"{document.source}: {'; '.join(problems[:_SHOWN])}{more}") from None


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == str(part):
                return value_node, key_node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line + 1
    return None


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Number of values once aliases are written out; a node inside itself counts as too many."""
    known = sizes.get(id(node))
    if known is not None:
        return known
    sizes[id(node)] = _MAX_NODES + 1
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_expanded_size(key, sizes) + _expanded_size(value, sizes) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_expanded_size(child, sizes) for child in node.value)
    sizes[id(node)] = total
    return total


def _problem(schema: type[BaseModel], document: Document, detail: Mapping[str, Any]) -> str:
    # Union branches are tagged "<name>" so that they can be told from the user's own fields.
    location: Location = tuple(p for p in detail["loc"] if not (isinstance(p, str) and p.startswith("<")))
    line = document.line(location)
    where = f"line {line}, " if line else ""
    path = _path(location)
    kind = detail["type"]
    if kind == "extra_forbidden":
        fields = _fields_at(schema, detail["loc"][:-1])
        return f"{where}{path}: unknown field; {nearest(str(location[-1]), fields)}"
    if kind == "missing":
        return f"{where}{path}: this field is required"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}{path + ': ' if path else ''}{message[:1].lower()}{message[1:]}"


def _path(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _fields_at(schema: type[BaseModel], location: Location) -> list[str]:
    """Names of the fields valid at `location`, found by walking the schema's JSON form."""
    root = schema.model_json_schema(by_alias=True)
    node: Mapping[str, Any] = root
    for part in location:
        node = _step(root, node, part)
    return sorted(_properties(root, node))


def _resolve(root: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        node = root["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]]
    return node


def _alternatives(root: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    node = _resolve(root, node)
    nested = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [node, *(inner for child in nested for inner in _alternatives(root, child))]


def _properties(root: Mapping[str, Any], node: Mapping[str, Any]) -> set[str]:
    return {name for alternative in _alternatives(root, node) for name in alternative.get("properties", {})}


def _step(root: Mapping[str, Any], node: Mapping[str, Any], part: str | int) -> Mapping[str, Any]:
    if isinstance(part, str) and part.startswith("<"):
        return node
    found: list[Mapping[str, Any]] = []
    for alternative in _alternatives(root, node):
        if isinstance(part, int):
            found += [child for child in (alternative.get("items"),) if isinstance(child, Mapping)]
        elif part in alternative.get("properties", {}):
            found.append(alternative["properties"][part])
        elif isinstance(alternative.get("additionalProperties"), Mapping):
            found.append(alternative["additionalProperties"])
    return {"anyOf": found}
