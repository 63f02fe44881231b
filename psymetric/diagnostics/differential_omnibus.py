"""Whether a level differs between any of several groups: one test for all of its cells together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from psymetric.diagnostics.differential_cells import RELATIVE, Kind
from psymetric.diagnostics.differential_design import Comparison
from psymetric.diagnostics.differential_effects import DELTA, ets_class
from psymetric.diagnostics.differential_report import CLASS_WORDS, Correction, shown_p
from psymetric.diagnostics.differential_search import Freed, Search, wald_statistic
from psymetric.diagnostics.multiplicity import adjusted

__all__ = ["OMNIBUS_COLUMNS", "omnibus_rows"]

OMNIBUS_COLUMNS = (
    *("level", "groups", "anchor", "easiest", "hardest", "range", "se", "statistic", "df", "p", "p_holm", "p_bh"),
    *("delta", "effect_class", "flag", "note"),
)


def omnibus_rows(
    search: Search,
    freed: Freed,
    alone: set[int],
    comparison: Comparison,
    slopes: NDArray[np.float64],
    *,
    kind: Kind,
    method: Literal["lr", "wald"],
    correction: Correction,
    alpha: float,
) -> pd.DataFrame:
    """One row per level of a comparison of three groups or more; none of two, where the cells' own rows say it.

    All cells of a level are free in the larger model and equal in the smaller one, with anchors as for the cells. The
    range is between the two groups furthest apart, the reference among them.

    Args:
        search: The models.
        freed: Cells that are no anchors.
        alone: Cells that are their groups' only anchors, and have no test.
        comparison: Who is compared with whom.
        slopes: What a logit of ability is worth in each cell's responses, shape (cells,).
        kind: What is tested.
        method: How.
        correction: What flags are judged by.
        alpha: Level of the tests and of the classes.
    """
    if len(comparison.groups) < 3:
        return pd.DataFrame(columns=OMNIBUS_COLUMNS)
    levels = comparison.cells.level
    members = [[int(c) for c in np.flatnonzero(levels == place) if c not in alone] for place in range(levels.max() + 1)]
    frame = pd.DataFrame(
        [
            {"level": comparison.levels[place], "slope": np.abs(slopes[own]).mean()}
            | _tested(search, freed, own, comparison, kind=kind, method=method)
            for place, own in enumerate(members)
            if own
        ]
    )
    size, se, slope = (frame[name].to_numpy(np.float64) for name in ("range", "se", "slope"))
    frame["delta"], frame["effect_class"] = DELTA * slope * size, ets_class(slope * size, slope * se, alpha=alpha)
    p = frame["p"].to_numpy(np.float64)
    frame["p_holm"], frame["p_bh"] = adjusted(p, "holm"), adjusted(p, "fdr_bh")
    frame["flag"] = [_flag(row, correction, alpha) for row in frame.to_dict("records")]
    return frame[list(OMNIBUS_COLUMNS)]


def _tested(
    search: Search,
    freed: Freed,
    members: list[int],
    comparison: Comparison,
    *,
    kind: Kind,
    method: Literal["lr", "wald"],
) -> dict[str, object]:
    """The test of the cells of one level against one another and the reference."""
    larger = freed.plus(*members, shape=kind != "uniform")
    found = search.solve(larger, near=freed)
    own = np.array([search.places(cell) for cell in members])
    tested = (own[:, 1:] if kind in RELATIVE else own).ravel()
    row: dict[str, object] = {"groups": 1 + len(members), "anchor": not freed.shifts & {*members}, "df": len(tested)}
    if not found.is_determined:
        empty = dict.fromkeys(("range", "se", "statistic", "p"), np.nan)
        return row | empty | {"easiest": "", "hardest": "", "note": "the likelihood has no single maximum"}
    groups = [comparison.reference, *(comparison.groups[comparison.cells.group[cell]] for cell in members)]
    locations = np.concatenate([[0.0], found.maximum.point[own[:, 0]]])
    low, high = int(np.argmin(locations)), int(np.argmax(locations))
    contrast = np.zeros(len(locations))
    contrast[[low, high]] = -1.0, 1.0
    variance = contrast[1:] @ found.covariance(own[:, 0]) @ contrast[1:]
    if method == "wald":
        statistic = wald_statistic(search, larger, tested)
    else:
        without = search.solve(larger.minus(*members, shift=kind not in RELATIVE), near=larger)
        statistic = 2 * (found.maximum.value - without.maximum.value) if without.is_determined else np.nan
    statistic = float(np.maximum(statistic, 0.0))
    return row | {
        "easiest": groups[low],
        "hardest": groups[high],
        "range": locations[high] - locations[low],
        "se": float(np.sqrt(variance)),
        "statistic": statistic,
        "p": float(chi2.sf(statistic, len(tested))),
        "note": "",
    }


def _flag(row: dict[Any, Any], correction: Correction, alpha: float) -> str:
    """Why to look at a level: a test that passes its level, and two groups that are far enough apart."""
    name = {"holm": "p_holm", "fdr_bh": "p_bh", "none": "p"}[correction]
    if row["effect_class"] in ("", "A") or not row[name] < alpha:
        return ""
    return (
        f"differs between {row['groups']} groups by up to {row['range']:.2f} logits, from {row['easiest']!r} to "
        f"{row['hardest']!r}, {CLASS_WORDS[row['effect_class']]}; {name} {shown_p(row[name])}"
    )
