"""Differential functioning without a measurement model: groups compared among subjects of equal scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2
from statsmodels.stats.contingency_tables import StratifiedTable

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.differential_design import check_groups, reference_group
from psymetric.diagnostics.differential_effects import DELTA, ets_class
from psymetric.diagnostics.differential_report import Correction, shown_p
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError

__all__ = ["mantel_haenszel"]

Array = NDArray[np.float64]

_WHO = "mantel_haenszel"
_MODERATE_SMD, _LARGE_SMD = 0.17, 0.25
_ROUNDS = 20


def mantel_haenszel(
    table: ResponseTable,
    *,
    group: str,
    facet: str = "item",
    reference: Label | None = None,
    anchors: Literal["purified", "others"] = "purified",
    alpha: float = 0.05,
    correction: Correction = "holm",
) -> pd.DataFrame:
    r"""Mantel-Haenszel and standardisation indices of differential functioning, subjects matched on their scores.

    A check on `differential_functioning` that assumes no model. Subjects are matched on the sum over the levels of the
    facet, the one under test included (Holland & Thayer, 1988). With two categories the common odds ratio of all
    strata and its test (continuity-corrected); with more, Mantel's test of the mean scores. Sums match exactly under
    a Rasch model; where slopes differ, on short scales and between groups of very different ability, they match badly
    and differences appear that are none.

    Args:
        table: The responses.
        group: A facet that is constant within each subject.
        facet: Whose levels may differ.
        reference: The group to compare with; by default the largest.
        anchors: "purified" leaves levels that differ out of the others' matching score, again and again until the same
            ones differ; "others" never does.
        alpha: Level of the tests, of purification and of classes.
        correction: What flags are judged by: "holm", "fdr_bh" or "none".

    Returns:
        One row per level and focal group: level, focal, n_reference, n_focal, strata (with both groups), anchor,
        estimate, se (log odds ratio in logits, positive: harder for the focal group; two categories only), statistic,
        p (df 1), p_holm, p_bh, delta (ETS: −2.35 × estimate), smd (mean score of focal minus reference at equal
        scores, weighted by the focal group; with two categories the standardised p-difference), smd_sd (over the
        level's sd), effect_class (two categories: `ets_class`; more: .17 and .25 of smd_sd), flag, note. Subjects
        without exactly one response to every level, or several alike, cannot be matched and are left out; the note
        `attrs["left_out"]` counts them.

    Raises:
        DataError: Groups as for `differential_functioning`, an unknown facet, fewer than three levels, weights that
            vary within a subject, or no subjects to match.

    Source: Holland & Thayer (1988), in Wainer & Braun, Test Validity, 129-145; Mantel (1963), JASA 58, 690-700; Dorans
    & Kulick (1986), Journal of Educational Measurement 23, 355-368; Zwick, Thayer & Mazzeo (1997), Applied Measurement
    in Education 10, 321-344 (classes of more than two categories).
    """
    if facet not in table.codes or facet == "subject":
        raise DataError(f"{_WHO}: the table has no facet {facet!r} to compare; {nearest(facet, table.facets)}")
    if anchors not in ("purified", "others") or correction not in ("holm", "fdr_bh", "none") or not 0 < alpha < 1:
        raise DataError(
            f"{_WHO}: anchors={anchors!r}, correction={correction!r}, alpha={alpha}: use 'purified' or 'others', "
            "'holm', 'fdr_bh' or 'none', and a level between 0 and 1"
        )
    if len(table.levels[facet]) < 3:
        raise DataError(
            f"{_WHO}: {facet!r} has {len(table.levels[facet])} levels, {listing(table.levels[facet])}; a score to "
            "match by takes three or more"
        )
    owner = check_groups(table, group, (facet,), who=_WHO)
    first = reference_group(table, group, reference, owner, who=_WHO)
    scores = _matched(table, facet, owner)
    frames = [
        _compared(scores, table, facet, (first, focal), anchors, alpha).assign(focal=label)
        for focal, label in enumerate(table.levels[group])
        if focal != first
    ]
    return _labelled(pd.concat(frames, ignore_index=True), table, group, first, scores, correction, alpha)


@final
@dataclass(frozen=True)
class _Scores:
    """Scores of the subjects with every response.

    Attributes:
        score: Shape (subjects, levels).
        group: Shape (subjects,).
        weight: How many subjects each stands for, shape (subjects,).
        left_out: Subjects without every response.
    """

    score: Array
    group: NDArray[np.int64]
    weight: Array
    left_out: int


def _matched(table: ResponseTable, facet: str, owner: NDArray[np.int64]) -> _Scores:
    shape = len(table.levels["subject"]), len(table.levels[facet])
    cell = np.ravel_multi_index((table.codes["subject"], table.codes[facet]), shape)
    used = (table.weight > 0).astype(np.float64)
    count, total = (
        np.bincount(cell, values, shape[0] * shape[1]).reshape(shape) for values in (used, used * table.response)
    )
    usual = np.median(count[count > 0])
    whole = (count == usual).all(axis=1)
    lowest, highest = np.full(shape[0], np.inf), np.zeros(shape[0])
    np.minimum.at(lowest, table.codes["subject"], table.weight)
    np.maximum.at(highest, table.codes["subject"], table.weight)
    if np.any(highest[whole] != lowest[whole]):
        label = table.levels["subject"][int(np.flatnonzero(whole & (highest != lowest))[0])]
        raise DataError(
            f"{_WHO}: weights vary within subjects, first {label!r}; subjects are matched and counted as a whole: use "
            "differential_functioning"
        )
    if len(np.unique(owner[whole])) < len(np.unique(owner)):
        raise DataError(
            f"{_WHO}: only {int(whole.sum())} of {shape[0]} subjects responded to all {shape[1]} levels of {facet!r}, "
            "and none of some group, so that scores do not match them: use differential_functioning"
        )
    return _Scores(total[whole].astype(np.float64), owner[whole], highest[whole], int(np.count_nonzero(~whole)))


def _compared(
    scores: _Scores, table: ResponseTable, facet: str, pair: tuple[int, int], anchors: str, alpha: float
) -> pd.DataFrame:
    """One row per level for a pair of groups, the matching score purified where wanted."""
    chosen = np.isin(scores.group, pair)
    score, is_focal, weight = scores.score[chosen], scores.group[chosen] == pair[1], scores.weight[chosen]
    n_levels = score.shape[1]
    kept, seen = np.ones(n_levels, bool), set[bytes]()
    while True:
        seen.add(kept.tobytes())
        found = pd.DataFrame(
            [_index(score, kept | (np.arange(n_levels) == level), level, is_focal, weight) for level in range(n_levels)]
        )
        differs = found["p"].to_numpy(np.float64) < alpha
        if anchors == "others" or (~differs).sum() < 2 or (~differs).tobytes() in seen or len(seen) > _ROUNDS:
            break
        kept = ~differs
    return found.assign(level=list(table.levels[facet]), anchor=kept)


def _index(
    score: Array, matching: NDArray[np.bool_], level: int, is_focal: NDArray[np.bool_], weight: Array
) -> dict[str, object]:
    """Indices of one level among subjects of equal sums over the matching levels."""
    _, stratum = np.unique(score[:, matching].sum(axis=1), return_inverse=True)
    stratum, y = stratum.reshape(-1), score[:, level]

    def sums(values: Array) -> Array:
        """By stratum and group (reference, focal), shape (strata, 2)."""
        flat = np.bincount(2 * stratum + is_focal, values, 2 * (int(stratum.max()) + 1))
        return flat.reshape(-1, 2).astype(np.float64)

    n, total, squares = sums(weight), sums(weight * y), sums(weight * y**2)
    both = (n > 0).all(axis=1)
    n, total, squares = n[both], total[both], squares[both]
    row: dict[str, object] = {"strata": len(n), "n_reference": n[:, 0].sum(), "n_focal": n[:, 1].sum()}
    empty = dict.fromkeys(("estimate", "se", "statistic", "p", "smd", "smd_sd"), np.nan)
    informs = total.sum(axis=1) ** 2 < n.sum(axis=1) * squares.sum(axis=1) * (1 - 1e-12)
    if not informs.any():
        return row | empty | {"note": "no stratum where both groups are and responses vary"}
    sd = float(np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)))
    smd = float(np.sum(n[:, 1] * (total[:, 1] / n[:, 1] - total[:, 0] / n[:, 0])) / n[:, 1].sum())
    row |= empty | {"smd": smd, "smd_sd": smd / sd, "note": ""}
    if score.max() > 1:
        return row | _mantel(n, total, squares)
    # Reference above focal, right before wrong: an odds ratio above one is harder for the focal group.
    tables = np.stack([np.stack([total[:, g], n[:, g] - total[:, g]]) for g in range(2)])[:, :, informs]
    found: Any = StratifiedTable(tables)
    test = found.test_null_odds(correction=True)
    row |= {"statistic": float(test.statistic), "p": float(test.pvalue)}
    off_diagonal = (tables[0, 0] * tables[1, 1]).sum(), (tables[0, 1] * tables[1, 0]).sum()
    if min(off_diagonal) == 0:
        return row | {"note": "no finite odds ratio"}
    return row | {"estimate": float(found.logodds_pooled), "se": float(found.logodds_pooled_se)}


def _mantel(n: Array, total: Array, squares: Array) -> dict[str, float]:
    """Mantel's test of the focal group's sums of scores against chance within strata, shapes (strata, 2)."""
    size, mass, square = n.sum(axis=1), total.sum(axis=1), squares.sum(axis=1)
    enough = size > 1
    n, size, mass, square, sums = n[enough], size[enough], mass[enough], square[enough], total[enough, 1]
    variance = n[:, 0] * n[:, 1] / (size**2 * (size - 1)) * (size * square - mass**2)
    statistic = float((sums - n[:, 1] * mass / size).sum() ** 2 / variance.sum())
    return {"statistic": statistic, "p": float(chi2.sf(statistic, 1))}


def _labelled(
    found: pd.DataFrame,
    table: ResponseTable,
    group: str,
    first: int,
    scores: _Scores,
    correction: Correction,
    alpha: float,
) -> pd.DataFrame:
    p = found["p"].to_numpy(np.float64)
    found = found.assign(p_holm=adjusted(p, "holm"), p_bh=adjusted(p, "fdr_bh"), delta=DELTA * found["estimate"])
    smd_sd, size, se = (found[name].to_numpy(np.float64) for name in ("smd_sd", "estimate", "se"))
    more = scores.score.max() > 1
    found["effect_class"] = _smd_class(smd_sd, p, alpha) if more else ets_class(size, se, alpha=alpha)
    judged = {"holm": "p_holm", "fdr_bh": "p_bh", "none": "p"}[correction]
    reference = table.levels[group][first]
    found["flag"] = [
        f"{'harder or more severe' if row['smd'] < 0 else 'easier or more lenient'} for {row['focal']!r} than for "
        f"{reference!r} of equal score by {abs(row['smd']):.2f} points, class {row['effect_class']}, {judged} "
        f"{shown_p(row[judged])}"
        if row[judged] < alpha and row["effect_class"] in ("B", "C")
        else ""
        for row in found.to_dict("records")
    ]
    if scores.left_out:
        note = f"{counted(scores.left_out, 'subject')} without the usual responses to every level left out"
        found["note"] = [f"{text}; {note}" if text else note for text in found["note"].tolist()]
    return found[
        [
            *("level", "focal", "n_reference", "n_focal", "strata", "anchor", "estimate", "se", "statistic", "p"),
            *("p_holm", "p_bh", "delta", "smd", "smd_sd", "effect_class", "flag", "note"),
        ]
    ]


def _smd_class(smd_sd: Array, p: Array, alpha: float) -> NDArray[np.str_]:
    size = np.abs(smd_sd)
    known = np.where((p < alpha) & (size > _MODERATE_SMD), np.where(size > _LARGE_SMD, "C", "B"), "A")
    return np.where(np.isfinite(size) & np.isfinite(p), known, "")
