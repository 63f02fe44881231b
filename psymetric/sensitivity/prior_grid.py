"""How far an order of candidates is the data's, and how far the prior's: the simplex judge under a grid of priors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.ordered_rows import RowOrder
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError
from psymetric.estimation.identification import check_table
from psymetric.estimation.truth_checks import truth_notes
from psymetric.models.base import Table
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.scoring.candidates import level_values, stratum_shares
from psymetric.sensitivity.prior_cells import Cell, Sampling, prior_cells, sampled
from psymetric.sensitivity.prior_pairs import order_probabilities, rank_frame, robustness, tipping_value

__all__ = ["PriorSensitivity", "prior_sensitivity"]

Array = NDArray[np.float64]

_WHO = "prior_sensitivity"
SETTINGS = ("quality", "prior_labels", "candidate_sd", "order")


@final
@dataclass(frozen=True, eq=False, repr=False)
class PriorSensitivity:
    """The posterior under every prior of a grid.

    Attributes:
        cells: One row per prior: `quality`, `prior_labels`, `candidate_sd`, `order`, `reference` (whether it is the
            model's own), `r_hat`, `ess`, `diverging`, `usable`. What else is here holds NaN for cells that are not.
        means: One row per prior and candidate: `cell`, `candidate`, `estimate`, `se`, `lower`, `upper` (in units of the
            level scores), `rank`, `rank_lower`, `rank_upper`.
        above: Probability that the first candidate's mean level is above the second's, shape (cells, candidates,
            candidates), ½ on the diagonal.
        candidates: Their labels.
        threshold: Probability from which an order counts as stated.
        identified: What the identified set says of the order of pairs, (first, second) to "point", "sign", "no",
            "weak" or "undecided".
        notes: What a reader should know, as plain sentences.
    """

    cells: pd.DataFrame
    means: pd.DataFrame
    above: Array
    candidates: tuple[Label, ...]
    threshold: float
    identified: Mapping[tuple[Label, Label], str]
    notes: tuple[str, ...] = ()

    @property
    def reference(self) -> int:
        """The cell of the model's own prior."""
        return int(np.flatnonzero(self.cells["reference"])[0])

    def pairs(self) -> pd.DataFrame:
        """Every pair, the one first that is higher under the model's own prior.

        Returns:
            Columns first, second, p_above (under the own prior), lowest and highest (of the usable priors), identified
            (as the identified set says, empty where it was not given), label: "robust", one order has the threshold
            probability under every prior; "not identified", it does not, and judges and candidates of either order
            reproduce the labels; "sensitive", it does under some; "undecided", under none; "unknown", chains of a cell
            that matters disagree.
        """
        usable = self.cells["usable"].to_numpy(bool)
        rows: list[dict[str, Any]] = []
        for one, other in itertools.combinations(range(len(self.candidates)), 2):
            first, second = (one, other) if not self.above[self.reference, one, other] < 0.5 else (other, one)
            above = self.above[:, first, second]
            known = self._identified(first, second)
            seen = above[usable]
            ends = (seen.min(), seen.max()) if len(seen) else (np.nan, np.nan)
            rows.append(
                {
                    "first": self.candidates[first],
                    "second": self.candidates[second],
                    "p_above": above[self.reference],
                    "lowest": ends[0],
                    "highest": ends[1],
                    "identified": known or "",
                    "label": robustness(above, usable, self.reference, self.threshold, known),
                }
            )
        return pd.DataFrame(rows).sort_values("p_above", ascending=False, kind="stable", ignore_index=True)

    def _identified(self, first: int, second: int) -> str | None:
        one, other = self.candidates[first], self.candidates[second]
        return self.identified.get((one, other), self.identified.get((other, one)))

    def tipping_points(self) -> pd.DataFrame:
        """Where each stated order falls under the threshold, one setting moved and the others at the model's own.

        Returns:
            One row per pair that the model's own prior states and per setting with several values: first, second,
            setting, reference, tipping (the nearest value that tips it, between two of the grid by a straight line;
            missing where none of the grid does), steps (settings of the grid passed until then).
        """
        settings = self.cells.loc[:, list(SETTINGS)]
        own = settings.iloc[self.reference]
        usable = self.cells["usable"].to_numpy(bool)
        pairs = self.pairs()
        place: dict[Any, int] = {label: at for at, label in enumerate(self.candidates)}
        rows: list[dict[str, Any]] = []
        for pair in pairs[pairs["p_above"] >= self.threshold].itertuples():
            above = self.above[:, place[pair.first], place[pair.second]]
            for name in SETTINGS:
                others = [other for other in SETTINGS if other != name]
                line = np.flatnonzero((settings[others] == own[others]).all(axis=1))
                line = line if name == "order" else line[np.argsort(settings[name].to_numpy()[line])]
                if len(line) < 2:
                    continue
                start = int(np.flatnonzero(line == self.reference)[0])
                values = settings[name].to_numpy()[line].tolist()
                tips = tipping_value(values, above[line], usable[line], start, self.threshold)
                row = {"first": pair.first, "second": pair.second, "setting": name, "reference": own[name]}
                rows.append({**row, "tipping": tips})
        return pd.DataFrame(rows, columns=["first", "second", "setting", "reference", "tipping"])

    def ranks(self) -> pd.DataFrame:
        """Rank of each candidate under the model's own prior, and what it may be under any usable prior.

        Returns:
            Columns candidate, rank, rank_lower, rank_upper (own prior), width (ranks in that interval), lowest and
            highest (ends of the intervals over the grid), widest (ranks in the widest of them); best first.
        """
        usable = self.cells.index[self.cells["usable"]]
        of_all = self.means[self.means["cell"].isin(usable)].groupby("candidate", sort=False)
        own = self.means[self.means["cell"] == self.reference].set_index("candidate")
        width = (self.means["rank_upper"] - self.means["rank_lower"] + 1).groupby(self.means["candidate"]).max()
        frame = own[["rank", "rank_lower", "rank_upper"]].assign(
            width=own["rank_upper"] - own["rank_lower"] + 1,
            lowest=of_all["rank_lower"].min(),
            highest=of_all["rank_upper"].max(),
            widest=width,
        )
        return frame.sort_values("rank", kind="stable").reset_index()

    def summary(self) -> str:
        """The pairs by label, and what to know of the grid."""
        pairs = self.pairs()
        numbers = pairs["label"].value_counts()
        said = ", ".join(f"{numbers[label]} {label}" for label in numbers.index)
        lines = [f"{counted(len(self.cells), 'prior')}, {counted(len(pairs), 'pair')}: {said}"]
        lines += [
            f"{pair.first} over {pair.second}: not identified; probability {pair.lowest:.2f} to {pair.highest:.2f} "
            "over the priors, and more labels of these judges do not narrow it"
            for pair in pairs[pairs["label"] == "not identified"].itertuples()
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"PriorSensitivity({counted(len(self.cells), 'prior')}, {counted(len(self.candidates), 'candidate')})"


def prior_sensitivity(
    model: SimplexJudge,
    table: Table,
    *,
    quality: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    prior_labels: Sequence[float] = (3.0, 10.0),
    candidate_sd: Sequence[float] = (0.0, 0.3),
    order: Sequence[RowOrder] = ("none", "lowest", "stochastic"),
    values: Sequence[float] | None = None,
    identified: pd.DataFrame | None = None,
    threshold: float = 0.95,
    level: float = 0.95,
    warmup: int = 300,
    draws: int = 400,
    chains: int = 4,
    steps: int = 12,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> PriorSensitivity:
    """Refit a simplex judge under every combination of priors, and see which conclusions stand.

    Every combination is sampled, by one compiled program for those without candidate effects and one for those with
    them. The model's own settings are added to the grid where they are missing. A cell whose chains disagree (R-hat
    over 1.05 or an effective sample size under 100) is run again with longer steps; where that does not help, it is
    marked and gives no number.

    Args:
        model: The model; its own prior is the reference.
        table: As for `fit`.
        quality: Values of λ, in (0, 1).
        prior_labels: Values of κ, in labels.
        candidate_sd: Values of ω, in logits.
        order: Orders of the judges' rows.
        values: Score of each level; by default the categories where they are numbers, else 0, 1, ...
        identified: Columns first, second, identified, as `identified_set(...).differences` has them: names pairs whose
            order no number of labels settles.
        threshold: Probability from which an order counts as stated, in (.5, 1).
        level: Coverage of the intervals.
        warmup: Adaptation steps per chain.
        draws: Draws kept per chain.
        chains: Chains per prior, two at the least.
        steps: Leapfrog steps per draw.
        seed: Seed of the random numbers.
        progress: Called with a sentence as parts of the grid are done.

    Returns:
        The grid; `pairs()`, `tipping_points()` and `ranks()` read it.

    Raises:
        DataError: A model that is no simplex judge, settings out of range, or what `fit` raises.

    Source: Vossler, Xia, Mai, Subbaswamy & Feng (2025), arXiv 2505.21972, section on sensitivity analysis.
    """
    if not isinstance(model, SimplexJudge):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{_WHO}: got a {type(model).__name__}; the grid is of priors of a SimplexJudge")
    if not 0.5 < threshold < 1 or not 0 < level < 1:
        raise DataError(f"{_WHO}: threshold={threshold} must be in (.5, 1) and level={level} in (0, 1)")
    if min(warmup, draws, steps) < 4 or chains < 2:
        raise DataError(f"{_WHO}: warmup={warmup}, draws={draws}, steps={steps} need 4 each, chains={chains} needs 2")
    given: dict[str, Sequence[Any]] = {
        "quality": quality, "prior_labels": prior_labels, "candidate_sd": candidate_sd, "order": order,
    }  # fmt: skip
    axes = {name: _with_own(name, given[name], getattr(model, name)) for name in SETTINGS}
    check_table(model, table)
    labels = tuple(model.levels(table)[model.candidate_axis])
    pairs = _pairs_of(identified, labels)
    models = prior_cells(model, axes)
    scores = level_values(table.categories, values, _WHO)
    how = Sampling(warmup, draws, chains, steps, seed)
    cells = sampled(models, table, scores, stratum_shares(model, table), how, progress)
    notes = tuple(truth_notes(model, table, {}, penalised=True))
    return _collected(model, cells, labels, threshold, level, pairs, notes)


def _with_own(name: str, values: Sequence[Any], own: Any) -> list[Any]:
    chosen = list(dict.fromkeys([*values, own]))
    return chosen if name == "order" else sorted(chosen)


def _pairs_of(identified: pd.DataFrame | None, labels: tuple[Label, ...]) -> dict[tuple[Label, Label], str]:
    if identified is None:
        return {}
    if absent := [name for name in ("first", "second", "identified") if name not in identified.columns]:
        raise DataError(f"{_WHO}: identified= has no columns {listing(absent)}: pass identified_set(...).differences")
    if unknown := [
        name for name in pd.unique(identified[["first", "second"]].to_numpy().ravel()) if name not in labels
    ]:
        raise DataError(
            f"{_WHO}: identified= is of {listing(unknown)}, no candidates of this table, which has {listing(labels)}"
        )
    return {(row.first, row.second): str(row.identified) for row in identified.itertuples()}  # pyright: ignore[reportReturnType]


def _collected(
    model: SimplexJudge,
    cells: list[Cell],
    labels: tuple[Label, ...],
    threshold: float,
    level: float,
    identified: dict[tuple[Label, Label], str],
    of_table: tuple[str, ...],
) -> PriorSensitivity:
    rows = [
        {name: getattr(cell.model, name) for name in SETTINGS}
        | {"reference": cell.model == model, "r_hat": cell.r_hat, "ess": cell.ess}
        | {"diverging": cell.diverging, "usable": cell.usable}
        for cell in cells
    ]
    frames, above = list[pd.DataFrame](), np.full((len(cells), len(labels), len(labels)), np.nan)
    for at, cell in enumerate(cells):
        if cell.usable:
            frames.append(rank_frame(cell.means, labels, level).assign(cell=at))
            above[at] = order_probabilities(cell.means)
        else:
            frames.append(pd.DataFrame({"candidate": list(labels), "cell": at}))
    failed = sum(not cell.usable for cell in cells)
    notes = (
        (f"the chains of {failed} of {counted(len(cells), 'prior')} disagree and give no number: more draws or steps",)
        if failed
        else ()
    )
    columns = ["cell", "candidate", "estimate", "se", "lower", "upper", "rank", "rank_lower", "rank_upper"]
    means = pd.concat(frames, ignore_index=True).reindex(columns=columns)
    return PriorSensitivity(pd.DataFrame(rows), means, above, labels, threshold, identified, notes + of_table)
