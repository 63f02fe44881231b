"""Sets of labels that hold the true one with a stated chance, whatever the judge and the map are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.held_out import read_held_out
from psymetric.data.columns import native_frame
from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["ConformalSets", "conformal_sets", "ordinal_scores"]

Array = NDArray[np.float64]

_WHO = "conformal_sets"


def ordinal_scores(shares: Array) -> Array:
    """How far each category lies from the most likely one: chance of the range around it that first holds it.

    The range starts at the mode and takes in the likelier neighbour (the lower of equals) step by step. Sets of all
    categories up to a score are therefore contiguous, and grow with it.

    Args:
        shares: Probabilities, shape (rows, categories).

    Returns:
        Chance of the range before a category joins, that is without it, shape (rows, categories); 0 for the mode.

    Source: Lu, Angelopoulos & Pomerantz (2022), algorithm 1, as a score; without the last category's own chance, as
    sets of categories *up to* a score then are not one too large.
    """
    n, k = shares.shape
    rows, scores = np.arange(n), np.zeros((n, k))
    low = high = shares.argmax(axis=1)
    inside = shares[rows, low]
    padded = np.column_stack([np.full(n, -1.0), shares, np.full(n, -1.0)])
    for _ in range(k - 1):
        below, above = padded[rows, low], padded[rows, high + 2]
        down = below >= above
        joins = np.where(down, low - 1, high + 1)
        scores[rows, joins] = inside
        inside = inside + np.where(down, below, above)
        low, high = np.where(down, joins, low), np.where(down, high, joins)
    return scores


@final
@dataclass(frozen=True, repr=False)
class ConformalSets:
    """Sets of neighbouring labels with a stated chance of holding the true one.

    Attributes:
        calibration: The map whose probabilities order the labels.
        risk: Asked: chance of a set without the true label.
        guarantee: Coverage that holds in any sample of this size, for a row of a group drawn like the others.
        scores: Scores of the labels that the sets rest on, increasing within each part. weights: Of each, all of them
            and that of the new row summing to one. parts: Which map they belong to, 0…: one part where the sets rest
            on labels that the map never saw, one per fold where they are its own.
        n_groups: Groups of those labels.
        notes: What a reader should know, as sentences.
    """

    calibration: CalibrationMap
    risk: float
    guarantee: float
    scores: Array
    weights: Array
    parts: NDArray[np.int64]
    n_groups: int
    notes: tuple[str, ...]

    def predict(self, frame: Any) -> pd.DataFrame:
        """The set of each row, under the index given.

        Args:
            frame: A table with the judge's columns, of rows that the map and the sets were not made with.

        Returns:
            One row each: `lower` and `upper` label of the set, and `size`, how many labels are in it.

        Raises:
            DataError: As `CalibrationMap.predict`.
        """
        rows = native_frame(frame, who="predict")
        judged, categories = self.calibration.inputs(rows), np.array(self.calibration.categories, dtype=object)
        maps = self.calibration.fold_maps if self.parts.any() else (self.calibration.fitted,)
        low, high = self.ranges(self.p_values([one.probabilities(judged) for one in maps]))
        return pd.DataFrame(
            {
                "lower": pd.Series(categories[low]).infer_objects().to_numpy(),
                "upper": pd.Series(categories[high]).infer_objects().to_numpy(),
                "size": high - low + 1,
            },
            index=rows.index,
        )

    def p_values(self, shares: list[Array]) -> Array:
        """Weight of the labelled rows that are no better than each category of new ones, shape (rows, categories).

        Args:
            shares: Probabilities of the new rows by the map of each part, each of shape (rows, categories).
        """
        found = np.full(shares[0].shape, 1 - float(self.weights.sum()))
        for part, one in enumerate(shares):
            mine = self.parts == part
            beyond = np.concatenate([np.cumsum(self.weights[mine][::-1])[::-1], [0.0]])
            found += beyond[np.searchsorted(self.scores[mine], ordinal_scores(one), side="left")]
        return found

    def ranges(self, values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Lowest and highest category whose p-value exceeds the risk, or the best one where none does."""
        kept = values > self.risk + 1e-12
        kept[np.arange(len(values)), values.argmax(axis=1)] = True
        return kept.argmax(axis=1), kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)

    def __str__(self) -> str:
        lines = [
            f"conformal sets of {self.calibration.label!r}: risk {self.risk:g} asked, coverage of {self.guarantee:.3f} "
            f"guaranteed; {counted(len(self.scores), 'label')} in {counted(self.n_groups, 'group')}"
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def conformal_sets(calibration: CalibrationMap, *, labelled: Any | None = None, risk: float = 0.1) -> ConformalSets:
    """Sets of neighbouring labels that hold the true one with a stated chance, however wrong the map may be.

    Categories are taken into a row's set from the most likely outwards, until what is left out is as unlikely as the
    worst share `risk` of labelled rows were. Which labels these are decides what is guaranteed:

    | labels | coverage of a new row |
    |---|---|
    | `labelled`, never seen by the map (split) | at least 1 − risk |
    | the map's own, each by the map without its fold (CV+) | at least 1 − 2 risk less a little; about 1 − risk in use |

    The guarantee is about a random row of a new group, groups being drawn alike (exchangeable): over new labelled rows
    and new rows together, not for each judge score, label or sub-population. Groups count equally, however many rows
    they have. New rows are from groups that neither the map nor the sets were made with.

    Args:
        calibration: The map.
        labelled: A frame with the judge's columns, the label and, where the map has one, the group; rows without a
            label are left out. Groups that the map was fitted on are refused.
        risk: Chance of a set without the true label, in (0, 1).

    Raises:
        DataError: A risk outside (0, 1); an unknown column; a label outside the map's categories; groups that the map
            has seen.

    Source: Vovk, Gammerman & Shafer (2005); Barber et al. (2021), theorem 4, for CV+; Romano, Sesia & Candès (2020)
    for it on categories; Lee, Barber & Willett (2023) for weights by group.
    """
    if not 0 < risk < 1:
        raise DataError(f"{_WHO}: risk={risk} is no chance between 0 and 1, such as 0.1")
    if labelled is not None:
        held = read_held_out(calibration, labelled, who=_WHO)
        parts, folds = np.zeros(len(held.codes), np.int64), 1
        shares, codes, group = held.shares, held.codes, held.group
    else:
        found = calibration.out_of_fold
        parts, folds = found["fold"].to_numpy(np.int64), len(calibration.fold_maps)
        shares, group = calibration.first_division, pd.factorize(found["group"])[0]
        codes = found["label"].map({name: k for k, name in enumerate(calibration.categories)}).to_numpy(np.int64)
    sizes = np.bincount(group)
    n_groups = len(sizes)
    scores = ordinal_scores(shares)[np.arange(len(codes)), codes]
    weights = 1 / (sizes[group] * (n_groups + 1.0))
    order = np.lexsort((scores, parts))
    guarantee = 1 - risk if labelled is not None else _guarantee_of_folds(risk, folds, n_groups)
    return ConformalSets(
        calibration,
        risk,
        guarantee,
        scores[order],
        weights[order],
        parts[order],
        n_groups,
        tuple(_notes(risk, guarantee, n_groups, own=labelled is None)),
    )


def _guarantee_of_folds(risk: float, folds: int, n_groups: int) -> float:
    """Coverage of CV+ in `folds` parts. Source: Barber et al. (2021), theorem 4."""
    slack = min(2 * (1 - 1 / folds) / (n_groups / folds + 1), (1 - folds / n_groups) / (folds + 1))
    return max(1 - 2 * risk - slack, 0.0)


def _notes(risk: float, guarantee: float, n_groups: int, *, own: bool) -> Iterator[str]:
    if risk < 1 / (n_groups + 1):
        yield (
            f"a risk of {risk:g} is less than 1 in {n_groups + 1:,}, the least that {n_groups:,} groups can tell: "
            "every set is the whole scale"
        )
    if own:
        yield (
            f"made with the map's own labels, coverage is about {1 - risk:.3g} but guaranteed to {guarantee:.3g} only; "
            "keep some labels from the map and pass them as labelled= for the full guarantee"
        )
