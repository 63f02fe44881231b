"""Facet models as a line of terms: `item + judge + item:judge + (1 | template) + step(item)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from psymetric.errors import DesignError

__all__ = ["FacetTerms", "read_formula"]

Course = Literal["walk", "linear"]

_NAME = r"(?:`[^`]+`|[^\W\d][\w.]*)"
_PLACE = rf"{_NAME}(?:\s*:\s*{_NAME})?"
_SIZES: Mapping[str, tuple[int, ...]] = {"step": (0, 1), "slope": (1,), "walk": (2,), "linear": (2,)}
_PIECE = re.compile(r"(?:`[^`]*`|\([^()]*\)|[^+()`])*")
_RANDOM = re.compile(rf"\(\s*1\s*\|\s*({_PLACE})\s*\)")
_CALL = re.compile(rf"({'|'.join(_SIZES)})\s*\(\s*({_PLACE})\s*\)")
_EXPLAINED = re.compile(rf"({_NAME})\s*\(\s*({_NAME}(?:\s*\+\s*{_NAME})*)\s*\)")
_PLAIN = re.compile(rf"({_NAME})(?:\s*([:*])\s*({_NAME}))?")
_COURSES: Mapping[str, Course] = {"walk": "walk", "linear": "linear"}
_GRAMMAR = (
    "write judge, judge:item, judge*item, (1 | judge), step(item), slope(judge), walk(judge:occasion), "
    "linear(judge:occasion) or item(length + topic), joined by +; the response and the subject are the table's"
)

Place = tuple[str, ...]
"""A facet, or two: what an array of parameters belongs to."""


@dataclass(frozen=True)
class FacetTerms:
    """What a formula says, as the settings of `ManyFacetRasch`."""

    facets: tuple[str, ...]
    steps: str
    random: tuple[str, ...] | None
    interactions: tuple[tuple[str, str], ...]
    slopes: tuple[str, ...]
    covariates: Mapping[str, tuple[str, ...]]
    drift: Mapping[str, Course]


@dataclass(frozen=True)
class _Term:
    """One statement of a formula and where it stands: `word` is "fixed", "random", "explained" or a function's name."""

    word: str
    place: Place
    text: str
    start: int
    columns: Place = ()

    @property
    def facet(self) -> Place:
        """The facet that this term puts into the model, if it does, as `judge`, `(1 | judge)` and `item(length)` do."""
        return self.place if len(self.place) == 1 and self.word in ("fixed", "random", "explained") else ()

    @property
    def claims(self) -> tuple[tuple[str, object], ...]:
        """What it says of its place: how levels are drawn, what course they take, whether they own steps or slopes."""
        match self.word:
            case "fixed":
                return ("draws", "fixed"), ("course", "free")
            case "random":
                return (("draws", "random"),)
            case "explained":
                return (("course", self.columns),)
            case "walk" | "linear":
                return (("course", self.word),)
            case _:
                return ((self.word, self.place),)


def read_formula(formula: str) -> FacetTerms:
    """Read a line of terms as the settings of a many-facet model.

    Raises:
        DesignError: A term cannot be read, contradicts another, or names a facet that has no term of its own; the
            message marks it.
    """
    terms = [term for start, text in _pieces(formula) for term in _read(formula, start, text)]
    facets = tuple(dict.fromkeys(facet for term in terms for facet in term.facet))
    said: dict[tuple[str, frozenset[str]], tuple[object, _Term]] = {}
    for term in terms:
        _check(formula, term, facets)
        for matter, value in term.claims:
            about = frozenset[str]() if matter == "step" else frozenset(term.place)
            before, other = said.setdefault((matter, about), (value, term))
            if before != value:
                _refuse(formula, term.start, term.text, f"contradicts {_at(other.start, other.text)}: keep one")
    return _settings(facets, {(matter, term.place): value for (matter, _), (value, term) in said.items()})


def _settings(facets: tuple[str, ...], said: Mapping[tuple[str, Place], object]) -> FacetTerms:
    draws = {place: value for (matter, place), value in said.items() if matter == "draws"}
    courses = {place: value for (matter, place), value in said.items() if matter == "course"}
    drift: dict[str, Course] = {}
    drift |= {":".join(pair): _COURSES[str(value)] for pair, value in courses.items() if value in _COURSES}
    names = {place: ":".join(place) for place in draws}
    names |= {place: name for place in draws for name in drift if set(place) == set(name.split(":"))}
    return FacetTerms(
        facets=facets,
        steps=next((facet for matter, place in said for facet in place if matter == "step"), "common"),
        random=tuple(names[place] for place, how in draws.items() if how == "random") or None,
        interactions=tuple((p[0], p[1]) for p in draws if len(p) == 2 and names[p] not in drift),
        slopes=tuple(facet for matter, place in said for facet in place if matter == "slope"),
        covariates={p[0]: tuple(map(str, value)) for p, value in courses.items() if isinstance(value, tuple)},
        drift=drift,
    )


def _pieces(formula: str) -> Iterator[tuple[int, str]]:
    """The terms between the plus signs outside brackets, each with where it starts."""
    position = len(formula) - len(re.sub(r"^\s*~", "", formula))
    while position <= len(formula):
        piece = next(_PIECE.finditer(formula, position))
        if formula[piece.end() : piece.end() + 1] not in ("", "+"):
            _refuse(formula, piece.end(), formula[piece.end()], "is a bracket or backquote without its pair")
        text = piece[0].strip()
        if not text:
            _refuse(formula, piece.end(), formula[piece.end() : piece.end() + 1], f"has no term before it: {_GRAMMAR}")
        yield formula.index(text, position), text
        position = piece.end() + 1


def _read(formula: str, start: int, text: str) -> Iterator[_Term]:
    if random := _RANDOM.fullmatch(text):
        yield _Term("random", _names(random[1]), text, start)
    elif call := _CALL.fullmatch(text):
        yield _Term(call[1], _names(call[2]), text, start)
    elif explained := _EXPLAINED.fullmatch(text):
        yield _Term("explained", _names(explained[1]), text, start, _names(explained[2]))
    elif plain := _PLAIN.fullmatch(text):
        written = [name for name in plain.group(1, 3) if name]
        place = _names(*(name for name in written if name != "step"))
        if plain[2] == "*":
            yield from (_Term("fixed", (facet,), text, start) for facet in place)
        yield _Term("step" if "step" in written else "fixed", place, text, start)
    else:
        _refuse(formula, start, text, f"is no term: {_GRAMMAR}")


def _names(*text: str) -> Place:
    return tuple(name.strip("`") for name in re.findall(_NAME, " ".join(text)))


def _check(formula: str, term: _Term, facets: tuple[str, ...]) -> None:
    sizes = _SIZES.get(term.word, (1, 2))
    problem = ""
    if len(term.place) not in sizes or len(set(term.place)) < len(term.place):
        problem = f"must name {'two facets, as in judge:item' if 2 in sizes else 'one facet, as in step(item)'}"
    elif "subject" in term.place:
        problem = "names the subject, which every model has: leave it out"
    elif not facets:
        problem = f"leaves the model without a facet: {_GRAMMAR}"
    elif missing := [name for name in term.place if name not in facets]:
        problem = f"needs {missing[0]} in the model: add `+ {missing[0]}` or `+ (1 | {missing[0]})`"
    elif both := [name for name in term.columns if name in facets]:
        problem = f"explains {term.place[0]} by {both[0]}, a facet; what takes facets is {', '.join(_SIZES)}"
    if problem:
        _refuse(formula, term.start, term.text, problem)


def _at(start: int, text: str) -> str:
    return f"{text!r} at column {start + 1}"


def _refuse(formula: str, start: int, text: str, problem: str) -> NoReturn:
    shown, marks = re.sub(r"\s", " ", formula), " " * start + "^" * max(1, len(text))
    raise DesignError(f"ManyFacetRasch.from_formula: {_at(start, text)} {problem}\n    {shown}\n    {marks}")
