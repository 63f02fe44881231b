"""Every number of the page of a simplex judge, computed once: the sections only arrange and word them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.errors import DataError, IdentificationError
from psymetric.estimation.fit import Fit
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.models.truth import PREVALENCE
from psymetric.reporting.fitted import Table
from psymetric.reporting.wording import noun_of
from psymetric.scoring.candidates import candidate_scores, level_values, stratum_shares
from psymetric.scoring.ranks import p_best, pairwise_probabilities, rank_intervals
from psymetric.sensitivity.identified import IdentifiedSet, identified_set
from psymetric.sensitivity.identified_assumptions import JudgeAssumptions
from psymetric.sensitivity.identified_items import ItemIdentification, item_identification
from psymetric.sensitivity.prior_grid import PriorSensitivity

__all__ = ["SimplexEvidence", "read_simplex"]

Array = NDArray[np.float64]

_SEARCHED: Final = 12
"""Candidates up to which identified sets are searched for."""


@final
@dataclass(frozen=True)
class SimplexEvidence:
    """A fit of a simplex judge with its table.

    Attributes:
        fit: The fit, with draws.
        table: What it was fitted to.
        level: Coverage of the intervals.
        sensitivity: The posterior under other priors, or None where nobody tried.
        searched: What the labels identify, where the caller had it.
        label: None: it stands alone.
    """

    fit: Fit
    table: ResponseTable
    level: float
    sensitivity: PriorSensitivity | None = None
    searched: IdentifiedSet | None = None
    label: Label | None = None

    @property
    def model(self) -> SimplexJudge:
        """What was fitted."""
        return cast(SimplexJudge, self.fit.model)

    @property
    def noun(self) -> str:
        """What a candidate is called."""
        return noun_of(self.table, self.model.candidate_axis)

    @property
    def judge(self) -> str:
        """Who labels."""
        return noun_of(self.table, self.model.over)

    @property
    def names(self) -> tuple[Label, ...]:
        """The judges, gold apart."""
        return self.fit.levels[self.model.over]

    @cached_property
    def values(self) -> Array:
        """Score of each level."""
        return level_values(self.table.categories, None, "report")

    @cached_property
    def scores(self) -> Scores:
        """Mean level of each candidate, with draws."""
        return candidate_scores(self.fit, self.table, level=self.level)

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """One row per candidate, from high to low.

        Columns level, estimate, se, lower, upper, n, labels (their plain mean), rank, rank_lower, rank_upper, p_best.
        """
        frame = self.scores.frame.rename(columns={"subject": "level"})
        frame = frame[["level", "estimate", "se", "lower", "upper", "n"]].assign(labels=self._label_means)
        ranks = rank_intervals(self.scores, level=self.level).set_index("level")
        best = p_best(self.scores).set_index("level")["p_best"]
        frame = frame.join(ranks[["rank", "rank_lower", "rank_upper"]], on="level").join(best, on="level")
        return frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)

    @property
    def _label_means(self) -> Array:
        """Mean of the labels of each candidate, gold apart."""
        is_gold = np.array([label in self.model.golds for label in self.table.levels[self.model.over]])
        weight = self.table.weight * ~is_gold[self.table.codes[self.model.over]]
        candidate = self.table.codes[self.model.candidate_axis]
        size = len(self.table.levels[self.model.candidate_axis])
        total = np.bincount(candidate, weight * self.values[self.table.response], size)
        count = np.bincount(candidate, weight, size)
        return np.divide(total, count, out=np.full(size, np.nan), where=count > 0)

    @cached_property
    def above(self) -> pd.DataFrame:
        """Probability that the row's candidate is above the column's, from high to low."""
        names = self.candidates["level"].tolist()
        return pairwise_probabilities(self.scores).loc[names, names]

    def _drawn(self, name: str) -> Array:
        """Draws of an array, the strata averaged by their share of the labels."""
        found = (self.fit.draws or {})[name]
        flat = found.reshape(-1, *found.shape[2:])
        if self.model.strata is None:
            return flat
        return np.tensordot(flat, stratum_shares(self.model, self.table), axes=(2, 0))

    @cached_property
    def truth_draws(self) -> Array:
        """True-level probabilities of the candidates, shape (draws, candidates, levels)."""
        return self._drawn(PREVALENCE)

    @cached_property
    def confusion_draws(self) -> Array:
        """What judges say at each true level, shape (draws, judges, levels, labels)."""
        return self._drawn(CONFUSION)

    @cached_property
    def confusion_frame(self) -> pd.DataFrame:
        """Columns level (the judge), truth, label, estimate, lower, upper."""
        draws, categories = self.confusion_draws, list(self.table.categories)
        tail = (1 - self.level) / 2
        lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
        index = pd.MultiIndex.from_product(
            [list(self.names), categories, categories], names=["level", "truth", "label"]
        )
        frame = index.to_frame(index=False)
        return frame.assign(estimate=draws.mean(axis=0).ravel(), lower=lower.ravel(), upper=upper.ravel())

    @cached_property
    def rests_on_margins(self) -> bool:
        """Whether no answer has two labels or gold, so that shares of labels by judge and candidate are all."""
        if self.model.of_counts:
            return True
        most = np.bincount(self.table.codes["subject"][self.table.weight > 0]).max(initial=0)
        return most < 2 and not self.model.golds

    @cached_property
    def assumptions(self) -> JudgeAssumptions:
        """What a search here takes for granted of judges: the order and, of two levels, none worse than chance."""
        return JudgeAssumptions(order=self.model.order, diagonal="chance" if len(self.values) == 2 else "none")

    @cached_property
    def identified(self) -> IdentifiedSet | None:
        """What shares of labels identify; None where there is more to go by, too many candidates, or no such world."""
        if self.searched is not None:
            return self.searched
        if not self.rests_on_margins or len(self.candidates) > _SEARCHED or self.model.strata is not None:
            return None
        # Shares of two levels have a closed form, if some world reproduces them exactly; else a search within bands,
        # whose certified ends would take longer than the rest of the page.
        for margins in ("exact", "bands") if len(self.values) == 2 else ("bands",):
            try:
                return identified_set(
                    self.table,
                    candidate=self.model.candidate_axis,
                    judge=self.model.over,
                    values=self.values.tolist(),
                    assumptions=self.assumptions,
                    margins=margins,
                    boxes=0,
                    starts=1,
                )
            except (IdentificationError, DataError):
                continue
        return None

    @cached_property
    def items(self) -> ItemIdentification | None:
        """Whether labels of several judges on the same answers identify them; None where none has several."""
        if self.rests_on_margins or self.model.candidate is None:
            return None
        return item_identification(self.table, candidate=self.model.candidate, item="subject", judge=self.model.over)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair, the higher one first.

        Columns first, second, p_above; identified, lower and upper (of the difference that the labels leave open, NaN
        where that was not computed); lowest, highest (of p_above over the priors tried) and label.
        """
        names = self.candidates["level"].tolist()
        places = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
        above = self.above.to_numpy(np.float64)
        frame = pd.DataFrame(
            {
                "first": pd.Series([names[i] for i, _ in places], dtype=object),
                "second": pd.Series([names[j] for _, j in places], dtype=object),
                "p_above": [above[i, j] for i, j in places],
            }
        )
        ranges = _ranges(self.identified)
        found = [ranges.get(key, ("", np.nan, np.nan)) for key in zip(frame["first"], frame["second"], strict=True)]
        frame = frame.assign(
            **{name: [row[at] for row in found] for at, name in enumerate(("identified", "lower", "upper"))}
        )
        return self._with_priors(frame)

    def _with_priors(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.sensitivity is None:
            return frame.assign(lowest=np.nan, highest=np.nan, label="")
        known = {(row["first"], row["second"]): row for row in self.sensitivity.pairs().to_dict("records")}
        rows: list[tuple[float, float, str]] = []
        for key in zip(frame["first"], frame["second"], strict=True):
            if key in known:
                rows.append((known[key]["lowest"], known[key]["highest"], known[key]["label"]))
            else:
                turned = known[key[1], key[0]]
                rows.append((1 - turned["highest"], 1 - turned["lowest"], turned["label"]))
        columns = dict(zip(("lowest", "highest", "label"), zip(*rows, strict=True), strict=True))
        found = frame.assign(**{name: list(column) for name, column in columns.items()})
        # The fit is one more sample under its own prior, and lies within what was seen.
        lowest, highest = found[["lowest", "p_above"]].min(axis=1), found[["highest", "p_above"]].max(axis=1)
        return found.assign(lowest=lowest, highest=highest)

    @property
    def open_pairs(self) -> pd.DataFrame:
        """Pairs of which the labels do not identify the order, as far as the search shows."""
        return self.pairs[self.pairs["identified"] == "no"]


def _ranges(found: IdentifiedSet | None) -> dict[tuple[Label, Label], tuple[str, float, float]]:
    """What is identified of each pair in either order, and the ends that were reached."""
    if found is None:
        return {}
    ranges: dict[tuple[Label, Label], tuple[str, float, float]] = {}
    for row in found.differences.to_dict("records"):
        kind, lower, upper = str(row["identified"]), float(row["lower"]), float(row["upper"])
        ranges[row["first"], row["second"]] = (kind, lower, upper)
        ranges[row["second"], row["first"]] = (kind, -upper, -lower)
    return ranges


def read_simplex(
    fit: Fit,
    table: Table,
    *,
    level: float,
    sensitivity: PriorSensitivity | None,
    identified: IdentifiedSet | None,
) -> SimplexEvidence:
    """The evidence of a fit.

    Raises:
        DataError: A fit without draws, or a sensitivity of other candidates.
    """
    if fit.draws is None:
        raise DataError(
            f"report: {fit.engine} gives no draws, and candidates of a SimplexJudge need the whole posterior: fit with "
            "NUTS()"
        )
    found = SimplexEvidence(fit, cast(ResponseTable, table), level, sensitivity, identified)
    own = set(fit.levels[found.model.candidate_axis])
    others = {"sensitivity": sensitivity and sensitivity.candidates}
    others |= {"identified": identified and identified.observed.candidates}
    for name, candidates in others.items():
        if candidates is not None and set(candidates) != own:
            raise DataError(
                f"report: {name} is of candidates {list(candidates)[:4]}, not of those of the fit; pass what was made "
                "of this table"
            )
    return found
