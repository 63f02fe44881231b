"""YAML in, models or one clear error out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from psymetric.errors import StudyError
from psymetric.instruments.yaml_files import nearest, parse_yaml, read_yaml, validate


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str
    size: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    parts: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


def outer(text: str) -> Outer:
    return validate(Outer, parse_yaml(text, source="f.yaml"))


def test_valid_text_becomes_the_model() -> None:
    assert outer("title: x\nparts: [{colour: red}]").parts[0].colour == "red"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\n  y: : z", r"f\.yaml: line 2 column 4: mapping values are not allowed here"),
        ("title: [1, 2", r"f\.yaml: line 1 column \d+: "),
        ("", r"f\.yaml: the file is empty"),
        ("# only a comment", r"f\.yaml: the file is empty"),
        ("- a\n- b", r"f\.yaml: expected a mapping of fields such as `name: …`, got a list"),
        ("title: a\ntitle: b", r"f\.yaml: line 2 column 1: key 'title' is repeated"),
        ("title: !!python/object/apply:os.system [ls]", r"could not determine a constructor for the tag"),
        ("title: a\n---\ntitle: b", r"f\.yaml: line 2 column 1: but found another document"),
        ("title: \x07", r"f\.yaml: malformed YAML: .*special characters are not allowed"),
        ("title: 2001-99-99", r"f\.yaml: malformed YAML: month must be in 1..12"),
        ("parts: []", r"f\.yaml: title: this field is required"),
        (
            "title: x\nparts:\n  - colour: red\n    sise: 3",
            r"line 4, parts\[0\]\.sise: unknown field; did you mean 'size'\?",
        ),
        ("title: x\nnamed:\n  a: {color: red}", r"line 3, named\.a\.color: unknown field; did you mean 'colour'"),
        ("title: x\nzzz: 1", r"line 2, zzz: unknown field; valid: named, parts, title"),
        ("title: x\nparts:\n - {colour: red, size: big}", r"line 3, parts\[0\]\.size: input should be a valid integer"),
    ],
)
def test_a_bad_text_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        outer(text)


def test_only_the_first_problems_are_listed_and_the_rest_counted() -> None:
    with pytest.raises(StudyError, match=r"a: unknown.*b: unknown.*c: unknown[^;]*; valid[^;]* \(and 2 more\)$"):
        outer("title: x\na: 1\nb: 1\nc: 1\nd: 1\ne: 1")


def test_aliases_that_swell_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(StudyError, match="aliases expand to more than"):
        parse_yaml("\n".join(lines))


def test_a_value_inside_itself_is_refused() -> None:
    with pytest.raises(StudyError, match="aliases expand to more than"):
        parse_yaml("a: &a [*a]")


def test_merge_keys_may_be_overridden() -> None:
    text = "title: x\nnamed:\n  a: &base {colour: red, size: 2}\n  b: {<<: *base, size: 3}"
    assert outer(text).named["b"] == Inner(colour="red", size=3)


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    with pytest.raises(StudyError):
        parse_yaml("[" * 100_000)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        read_yaml(tmp_path)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: é".encode("latin-1"))
    with pytest.raises(StudyError, match=r"not UTF-8 at byte 7"):
        read_yaml(path)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes("\ufefftitle: é".encode())
    assert read_yaml(path).data == {"title": "é"}


def test_nearest_always_lists_what_is_valid() -> None:
    assert nearest("templte", ["template", "order"]) == "did you mean 'template'? valid: template, order"
    assert nearest("qqq", ["template"]) == "valid: template"
    assert nearest("qqq", []) == "valid: none"
