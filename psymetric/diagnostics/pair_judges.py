"""One row per judge of comparisons: discrimination, position, ties, agreement, consistency, fit, and why to look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from psymetric.data.messages import counted, nearest
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.pair_agreement import agreement_with_others
from psymetric.diagnostics.pair_chances import PairChances, pair_chances
from psymetric.diagnostics.pair_flags import judge_flags
from psymetric.diagnostics.pair_questions import contest_facets, questions, unit_facets
from psymetric.diagnostics.pair_sums import PairSums, pair_sums
from psymetric.diagnostics.residuals import fit_statistics
from psymetric.diagnostics.swap_consistency import swap_rows, swapped_questions
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.bradley_terry import BradleyTerry

__all__ = ["PairJudges", "pair_judges"]

Array = NDArray[np.float64]

_WHO = "pair_judges"
_TIE = 2
_SHOWN = ("n", "ties", "first", "agreement", "kappa", "consensus", "swap_strict", "infit", "outfit")


@final
@dataclass(frozen=True, repr=False)
class PairJudges:
    """Judges of comparisons.

    Attributes:
        frame: One row per judge, in the order of the levels; the columns are those of `pair_judges`.
        facet: The facet of the judges.
        unit: The facets that tell one question from another, besides its two items.
        level: Coverage of the intervals.
        alpha: Level of the tests behind the flags, for all judges together.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    facet: str
    unit: tuple[str, ...]
    level: float
    alpha: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        columns = [name for name in _SHOWN if self.frame[name].notna().any()]
        shown = self.frame[[self.facet, *columns, "flag"]].round(3).to_string(index=False, max_rows=20)
        flagged = int((self.frame["flag"] != "").sum())
        title = f"{counted(len(self.frame), self.facet)}, {flagged:,} flagged"
        return "\n".join([title, shown, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def pair_judges(
    fit: Fit,
    pairs: PairTable,
    *,
    judge: str = "judge",
    unit: str | Sequence[str] | None = None,
    level: float = 0.95,
    alpha: float = 0.05,
) -> PairJudges:
    """How each judge compares: with the model, with the other judges, and with itself when the items change places.

    | columns | meaning | NaN where |
    |---|---|---|
    | n, ties | comparisons (sum of weights); share of ties | |
    | slope, slope_se, _lower, _upper | the judge's discrimination | the model has none for this facet |
    | position, position_se, _lower, _upper | the judge's α, logits, positive where being first helps | the same |
    | first, _lower, _upper, first_expected, first_p | share of decided comparisons that the first shown won (Wilson); \
the same by the model, given who was shown first; two-sided p of the difference, exact | all ties |
    | n_shared, agreement, agreement_chance, kappa, _lower, _upper | with every other judge of the same question, see \
`agreement_with_others`; a question is two items under one combination of `unit`, in either order | nobody else \
answered |
    | consensus, consensus_expected, consensus_p | share of decided comparisons for the item of the higher worth, its \
expectation under the model, and the chance of so few, exact | all ties |
    | n_swapped, swap_strict, swap_direction, _lower, _upper, swap_expected | consistency of questions asked in both \
orders, see `swap_consistency`; the strict one by the model, were the two answers independent | none was |
    | infit, infit_z, outfit, outfit_z | as `fit_statistics` | |

    A judge's own comparisons are part of the worths it is compared with: with few judges `consensus` flatters, and
    where the model has its slope or position, its expectation has been fitted to it. Standard errors of worths are not
    carried. Intervals take comparisons or questions for independent.

    Flags, with p-values by Holm for all judges together at level `alpha`:

    * "favours the first", or "the second": modelled α, or where the model has none for this facet the first-shown rate
      against its expectation; and 10 points or more from it (from half, for α, among equals);
    * "against the order": consensus below its expectation, by 10 points or more;
    * "weak discrimination": slope under .5 and its interval below 1;
    * "reverses": the interval of swap_strict below swap_expected: what sways the judge is not in the model;
    * "no better than chance": the interval of kappa below 0;
    * "noisy", "too regular": infit or outfit beyond 1.5 or .5, with |z| > 2.

    Args:
        fit: A fit of BradleyTerry.
        pairs: The comparisons: the fitted table, or others whose levels the fit knows.
        judge: Facet of the judges.
        unit: Facets that tell one question from another besides the items, such as "prompt"; by default all facets but
            the judges and the contest covariates of the model.
        level: Coverage of the intervals, in (0, 1).
        alpha: Level of the tests behind the flags, in (0, 1).

    Returns:
        The judges: `frame` has the columns above, with the facet's name first, then flag (reasons, each with its
        numbers, joined by "; ") and note (why something is NaN).

    Raises:
        DataError: No such facet, a table that does not match the fit, ties that are half wins or that the fit has no
            rule for, level or alpha outside (0, 1).
        DesignError: A fit of another model.

    Source: Linacre (2002), Rasch Measurement Transactions 16:2, 878 (bounds of mean squares); others as named at
    `agreement_with_others` and `swap_consistency`; Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    chances = pair_chances(fit, pairs, who=_WHO)
    _check(pairs, judge, level, alpha)
    facets = unit_facets(pairs, unit, leaving={judge, *getattr(fit.model, "contest", ())}, who=_WHO)
    labels = pairs.levels[judge]
    frame = pd.DataFrame({judge: pd.Series(list(labels), dtype=object)})
    frame = frame.assign(**_shares(pairs, chances, judge, level))
    for name, parameter in (("slope", f"{judge}_slope"), ("position", "position")):
        frame = frame.join(_modelled(fit, name, parameter, judge, level), on=judge)
    kept = chances.rows
    question, turned = questions(pairs, facets)
    met = agreement_with_others(
        question[kept],
        pairs.codes[judge][kept].astype(np.int64),
        turned[kept],
        pairs.response[kept],
        pairs.weight[kept],
        n_judges=len(labels),
        level=level,
    )
    swapped = swapped_questions(pairs, (*facets, judge), judge, chances=chances.probability[chances.kind])
    swaps = swap_rows(swapped, swapped.group, len(labels), level)
    foreseen = np.bincount(swapped.group[swapped.both], swapped.expected[swapped.both], len(labels))
    names = [f"{name}{end}" for name in ("strict", "direction") for end in ("", "_lower", "_upper")]
    frame = frame.assign(
        **met, n_swapped=swaps["n"].to_numpy(), **{f"swap_{name}": swaps[name].to_numpy() for name in names}
    )
    frame["swap_expected"] = foreseen / frame["n_swapped"].where(frame["n_swapped"] > 0)
    statistics = fit_statistics(fit, pairs, facets=[judge]).set_index("level")
    frame = frame.join(statistics[["infit", "infit_z", "outfit", "outfit_z"]], on=judge)
    frame["flag"] = judge_flags(frame, fit, alpha)
    frame["note"] = [_note(*row) for row in frame[["n", "first", "n_shared", "n_swapped"]].to_numpy()]
    return PairJudges(frame, judge, facets, level, alpha, tuple(_notes(fit, frame, judge, facets)))


def _check(pairs: PairTable, judge: str, level: float, alpha: float) -> None:
    known = contest_facets(pairs)
    if judge not in known:
        hint = nearest(judge, known) if known else "give judge= when the table is built"
        raise DataError(f"{_WHO}: the table has no facet {judge!r} of who compared; {hint}")
    for name, value in (("level", level), ("alpha", alpha)):
        if not 0 < value < 1:
            raise DataError(f"{_WHO}: {name}={value} must lie between 0 and 1")


def _shares(pairs: PairTable, chances: PairChances, judge: str, level: float) -> dict[str, Array]:
    """Counts and shares of each judge, and what the model expects of them."""
    rows, size = chances.rows, len(pairs.levels[judge])
    owner, response, weight = pairs.codes[judge][rows].astype(np.int64), pairs.response[rows], pairs.weight[rows]
    # Given that a comparison is decided, the chance of a tie says nothing of who won.
    decisive = chances.probability * [1.0, 1.0, 0.0]
    decisive /= decisive.sum(axis=1, keepdims=True)
    gap = chances.gap[chances.kind]

    def among(chosen: NDArray[np.bool_], turned: NDArray[np.bool_]) -> PairSums:
        return pair_sums(
            owner[chosen],
            chances.kind[chosen],
            turned[chosen],
            response[chosen],
            weight[chosen],
            probability=decisive,
            n_cells=size,
        )

    n = np.bincount(owner, weight, size).astype(np.float64)
    first = among(response < _TIE, np.zeros(len(rows), np.bool_))
    higher = among((response < _TIE) & (gap != 0), gap < 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        settled = np.where(first.n > 0, first.n, np.nan)
        lower, upper = proportion_confint(first.score, settled, alpha=1 - level, method="wilson")
        return {
            "n": n,
            "ties": 1 - first.n / n,
            "first": first.score / first.n,
            "first_lower": np.asarray(lower),
            "first_upper": np.asarray(upper),
            "first_expected": first.expected / first.n,
            "first_p": np.minimum(2 * np.minimum(first.at_most, first.at_least), 1.0),
            "consensus": higher.score / higher.n,
            "consensus_expected": higher.expected / higher.n,
            "consensus_p": higher.at_most,
        }


def _modelled(fit: Fit, name: str, parameter: str, judge: str, level: float) -> pd.DataFrame:
    """A parameter that each judge has, by judge; NaN where the model has none for this facet."""
    columns = [name, f"{name}_se", f"{name}_lower", f"{name}_upper"]
    model = fit.model
    own = isinstance(model, BradleyTerry) and (judge in model.slopes if name == "slope" else model.position == judge)
    if not own:
        return pd.DataFrame(np.nan, index=pd.Index([], dtype=object), columns=columns)
    found = fit.estimates(parameter, level=level).set_index("level")[["estimate", "se", "lower", "upper"]]
    return found.set_axis(columns, axis=1)


def _note(n: float, first: float, n_shared: float, n_swapped: float) -> str:
    """Why something is missing of a judge, in words."""
    if not n:
        return "no comparisons of positive weight"
    said = ["ties only: nothing decided"] if np.isnan(first) else []
    said += ["nobody else answered the same questions"] if not n_shared else []
    said += ["one shared question: no interval"] if n_shared == 1 else []
    said += ["no question in both orders"] if not n_swapped else []
    return "; ".join(said)


def _notes(fit: Fit, frame: pd.DataFrame, judge: str, unit: tuple[str, ...]) -> Iterator[str]:
    about = f"two items and {', '.join(unit)}" if unit else "two items"
    yield f"a question is {about}, in either order"
    if len(frame) == 1:
        yield f"one {judge} only: it is compared with its own worths, and with nobody"
    elif not frame["n_shared"].any():
        yield f"no two {judge}s answered the same question; name by unit= the facets that make questions the same"
    if not frame["n_swapped"].any():
        yield "no question was asked in both orders: nothing can be said of consistency under swap"
    model = fit.model
    if isinstance(model, BradleyTerry) and model.position is not None and model.position != judge:
        yield "the model's effect of position is not the judge's own: first_expected holds it"
