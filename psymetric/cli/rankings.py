"""`psymetric fit --rankings`: reading a file of rankings, and the model that the options describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.cli.comparisons import Comparisons
    from psymetric.data.rankings import RankingTable
    from psymetric.models.choice import AbstractChoiceModel

__all__ = ["ranking_model", "read_rankings"]

_USUAL: Final = {
    "task": ("task", "list", "ranking", "prompt", "set", "question"),
    "item": ("item", "model", "system", "response", "candidate", "option"),
    "rank": ("rank", "place", "choice"),
}
_JUDGES: Final = ("judge", "rater", "annotator", "grader", "worker")


def read_rankings(
    path: Path, columns: list[str], given: dict[str, str], facets: list[str], weight: str, reason: str
) -> RankingTable:
    """Read a file of rankings, one row per item shown, with the columns named or those with usual names.

    Args:
        path: Of the file.
        columns: Its columns.
        given: Column of task, item and rank; empty where left out.
        facets: Columns of the facets; the first with the usual name of a judge where left out.
        weight: Column of counts, or nothing.
        reason: Column that says why a ranking is missing, or nothing.

    Raises:
        DataError: A column is missing, or what the table refuses.
    """
    from psymetric.data.rankings import RankingTable

    found = {
        role: name or next((usual for usual in _USUAL[role] if usual in columns and usual not in facets), "")
        for role, name in given.items()
    }
    for role, name in found.items():
        if not name:
            raise DataError(f"{path}: name the {role} column with --{role}; its columns are {', '.join(columns)}")
    own = facets or [name for name in _JUDGES if name in columns and name not in found.values()][:1]
    judge = next((name for name in own if name in _JUDGES), None)
    others = tuple(name for name in own if name != judge)
    typer.echo("columns: " + ", ".join(f"{r} = {c}" for r, c in found.items()) + f"; facets: {', '.join(own)}")
    return RankingTable.read(path, **found, judge=judge, facets=others, weight=weight or None, reason=reason or None)


def ranking_model(table: RankingTable, options: Comparisons, others: dict[str, object]) -> AbstractChoiceModel:
    """The model of rankings, or of best-worst choices, that the options describe.

    Args:
        table: Rankings.
        options: About comparisons; --ties davidson or none, and --slopes judge, are about rankings too.
        others: Further options by name, none of which rankings have.

    Raises:
        DataError: An option that does not go with the table.
    """
    from psymetric.models.best_worst import BestWorst
    from psymetric.models.plackett_luce import PlackettLuce
    from psymetric.workflow import choose_model

    unfit = {"--map": options.meanings, "--position": options.position, "--contest": options.contest, **others}
    if table.is_best_worst:
        unfit |= {"--ties": options.ties, "--slopes": options.slopes}
    if named := [name for name, value in unfit.items() if value]:
        kind = "best-worst choices" if table.is_best_worst else "rankings"
        raise DataError(f"{' and '.join(named)}: not for {kind}; leave it out")
    if options.ties not in ("", "davidson", "none"):
        raise DataError(f"--ties {options.ties}: rankings know davidson and none; use one of these")
    if options.slopes not in ((), ("judge",)):
        raise DataError(f"--slopes {' '.join(options.slopes)}: of rankings only judge; name the column with --facet")
    model = choose_model(table)
    if isinstance(model, BestWorst):
        return model
    ties = "davidson-luce" if table.tied.any() and options.ties != "none" else None
    return PlackettLuce(ties=ties, slopes="judge" if options.slopes else None)
