"""The table that `psymetric fit` reads: the user's own, or one that another program stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.cli.comparisons import Comparisons
    from psymetric.data.pairs import PairTable
    from psymetric.data.responses import ResponseTable

__all__ = ["FORMATS", "columns_of", "order_is_known", "read_format", "read_own", "usual_column"]

FORMATS: Final = ("alpaca-eval", "arena", "council", "llmbar", "mt-bench", "mt-bench-scores")
_MAPPED: Final = ("arena", "mt-bench")
_MEASURED: Final = ("alpaca-eval", "arena", "mt-bench")
"""Formats whose labels can be mapped, and whose answers have lengths."""

# Column names that need no option when a file uses them.
_USUAL: Final = {
    "response": ("response", "rating", "score", "label_value"),
    "subject": ("subject", "conversation", "conversation_id", "system", "response_id", "text_id"),
    "item": ("item", "criterion", "question", "trait"),
    "judge": ("judge", "rater", "annotator", "grader", "worker"),
    "left": ("left", "model_a", "left_model"),
    "right": ("right", "model_b", "right_model"),
    "outcome": ("outcome", "winner"),
}
_SIDES: Final = ("left", "right", "outcome")


def order_is_known(form: str) -> bool:
    """Whether left is the item shown first; AlpacaEval does not say which one was."""
    return form != "alpaca-eval"


def read_format(path: Path, form: str, facets: list[str], options: Comparisons) -> ResponseTable | PairTable:
    """Read a file that another program wrote.

    Args:
        path: Of the file.
        form: Name of the format.
        facets: Which of its facets to keep, for the format that has many; empty for all.
        options: About comparisons.

    Raises:
        DataError: Unknown format, options that it has no use for, or what its importer refuses.
    """
    from psymetric.instruments import importers

    if form not in FORMATS:
        raise DataError(f"--format {form} is not known; use one of {', '.join(FORMATS)}")
    if options.meanings and form not in _MAPPED:
        raise DataError(f"--map: the labels of --format {form} have fixed meanings; leave it out")
    if options.contest and (form not in _MEASURED or options.contest != ("length",)):
        known = "length" if form in _MEASURED else "nothing"
        raise DataError(f"--contest {' '.join(options.contest)}: --format {form} knows {known} of a comparison")
    if facets and form != "arena":
        raise DataError(f"--facet: --format {form} has its own facets; leave it out, or read with --pairs")
    length = "characters" if options.contest else None
    match form:
        case "alpaca-eval":
            return importers.read_alpaca_eval(path, length=length)
        case "arena":
            kept = facets or importers.ARENA_FACETS
            return importers.read_arena(path, outcomes=options.meanings, facets=kept, length=length)
        case "council":
            return importers.read_council(path)
        case "llmbar":
            return importers.read_llmbar(path)
        case "mt-bench":
            return importers.read_mt_bench(path, outcomes=options.meanings, length=length)
        case _:
            return importers.read_mt_bench_scores(path)


def read_own(
    path: Path,
    given: dict[str, str],
    facets: list[str],
    optional: dict[str, str],
    *,
    pairs: bool,
    options: Comparisons,
) -> ResponseTable | PairTable:
    """Read a file with the columns named, and those with usual names where an option is left out.

    Args:
        path: Of the file.
        given: Column of response, subject, item, left, right and outcome; empty where left out.
        facets: Columns of the facets.
        optional: Column of dimension, weight and reason; empty where left out.
        pairs: Whether the user said that these are comparisons; else they are where left, right and outcome are found.
        options: About comparisons.

    Raises:
        DataError: A column is missing, or what the table refuses.
    """
    from psymetric.data.pairs import PairTable
    from psymetric.data.responses import ResponseTable

    columns = columns_of(path)
    found = {role: usual_column(role, name, columns, facets) for role, name in given.items()}
    pairs = pairs or (all(found[role] for role in _SIDES) and not given["response"])
    if pairs:
        found = {role: found[role] for role in _SIDES}
    for role in _SIDES if pairs else ("response", "subject"):
        if not found[role]:
            raise DataError(f"{path}: name the {role} column with --{role}; its columns are {', '.join(columns)}")
    used = [*found.values(), *optional.values(), *options.contest]
    chosen = tuple(facets or [name for name in _USUAL["judge"] if name in columns and name not in used][:1])
    chosen = tuple(dict.fromkeys((*chosen, *options.columns)))
    weight, reason = optional["weight"] or None, optional["reason"] or None
    typer.echo("columns: " + ", ".join(f"{r} = {c}" for r, c in found.items() if c) + f"; facets: {', '.join(chosen)}")
    if pairs:
        return PairTable.read(
            path,
            left=found["left"],
            right=found["right"],
            outcome=found["outcome"],
            facets=chosen,
            weight=weight,
            reason=reason,
            outcomes=options.meanings or None,
        )
    options.refuse_ratings()
    return ResponseTable.read(
        path,
        response=found["response"],
        subject=found["subject"],
        item=found["item"] or None,
        facets=chosen,
        dimension=optional["dimension"] or None,
        weight=weight,
        reason=reason,
    )


def usual_column(role: str, given: str, columns: Sequence[str], taken: Iterable[str]) -> str:
    """The column named, else the first with a usual name for its role that is not taken; empty where there is none."""
    return given or next((name for name in _USUAL[role] if name in columns and name not in set(taken)), "")


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a file."""
    import narwhals as nw

    from psymetric.data.files import read_frame

    return list(nw.from_native(read_frame(path, answers=(), who="psymetric fit").frame).columns)
