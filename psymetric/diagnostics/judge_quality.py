"""What each judge of a latent truth is worth: accuracy, information, whom to drop and whom to ask more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.coding import Label
from psymetric.data.messages import counted, nearest
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.judge_information import (
    JudgedLabels,
    JudgeMeasures,
    judge_confusion,
    judged_labels,
    measures,
)
from psymetric.diagnostics.label_pairs import duplicates, label_pairs
from psymetric.errors import DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.estimation.parameter_draws import parameter_draws
from psymetric.estimation.truth import truth_data, truth_problem
from psymetric.models.truth import AbstractTruthModel

__all__ = ["JudgeQuality", "judge_quality"]

Array = NDArray[np.float64]

_WHO = "judge_quality"
_SHOWN = ("n", "accuracy", "kappa", "bits", "lost", "gain", "per_cost", "advice")
_MOST_PATTERNS = 2_000
_NEAR_BEST, _FAR_FROM_BEST = 0.9, 0.1
"""Share of the best judge's gain per cost from which another is as good a buy, and below which it is not worth it."""


@final
@dataclass(frozen=True, repr=False)
class JudgeQuality:
    """Judges of a latent truth.

    Attributes:
        frame: One row per judge, gold apart, in the order of the levels; the columns are those of `judge_quality`.
        confusion: Probability of every label given the truth, shape (judges, truths, categories).
        facet: The facet of the judges.
        categories: Labels of the truths and categories.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    confusion: Array
    facet: str
    categories: tuple[Label, ...]
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = self.frame[[self.facet, *_SHOWN, "flag"]].round(3).to_string(index=False, max_rows=20)
        flagged = int((self.frame["flag"] != "").sum())
        title = f"{counted(len(self.frame), self.facet)}, {flagged:,} flagged"
        return "\n".join([title, shown, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def judge_quality(
    fit: Fit,
    table: ResponseTable,
    *,
    cost: Mapping[Label, float] | None = None,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> JudgeQuality:
    """How much each judge tells of the truth, and whose labels to buy next.

    | columns | meaning |
    |---|---|
    | n | labels (sum of weights) |
    | accuracy, _se, _lower, _upper | probability that a label of the judge is the truth, at the estimated prevalence |
    | kappa, _lower, _upper | the same less what chance gives: Cohen's κ with the truth as the other rater |
    | bits, _se, _lower, _upper | mutual information of one label and the truth of a subject nothing else is known of |
    | lost | bits on the truth of a subject that go if this judge's labels do, mean over the subjects it labelled |
    | gain, _lower, _upper | bits that one more label by it, or by one like it, would add to those given, mean over \
subjects without gold |
    | gain_accuracy | the rise in the probability of the likeliest truth that this brings, mean over the same |
    | cost, per_cost | cost of a label; gain by unit of cost |
    | advice | "drop", "keep" or "buy" |
    | flag | why to look, in words |

    A label that a second judge like this one gives is taken as independent of the first given the truth (and what
    their family sees, for `FamilyDawidSkene`). Asking one and the same model again tells less. Standard errors and
    intervals are those of draws of the parameters; `lost` and `gain` also depend on the labels, which are held fixed.
    Mutual information cannot be negative, so that the interval of `bits` never holds zero: whether a judge is better
    than chance is read from `kappa`.

    Flags: "worse than chance" where the interval of kappa lies below 0; "not shown to be better than chance" where it
    holds 0; "same labels as x on all n common subjects" where independent judges would do so with a probability below
    .001 over all pairs. "drop" is advised for judges that are worse than chance or the second of two alike, and for
    those whose gain per cost is under a tenth of the best; "buy" for those of nine tenths of it and more. These two
    shares are conventions. Advice is on one judge at a time: several that are each to be dropped may be worth
    something together, so drop one, and ask again.

    Args:
        fit: A fit of a latent-truth model.
        table: The labels: the fitted table, or others of the same levels.
        cost: Cost of a label by judge, in any unit; 1 for all by default.
        level: Coverage of the intervals, in (0, 1).
        draws: Draws of the parameters, even.
        seed: Of the draws, and of the choice of 2,000 patterns of labels where a table has more.

    Returns:
        The judges; `frame` has the columns above, with the facet's name first.

    Raises:
        DesignError: A fit of another model.
        DataError: Costs that are not positive or lack a judge, a level outside (0, 1), an odd number of draws, or a
            fit without joint uncertainty.

    Source: Shannon (1948); Cohen (1960), Educational and Psychological Measurement 20, 37-46; expected information of
    the next label: MacKay (1992), Neural Computation 4, 590-604.
    """
    if not isinstance(fit.model, AbstractTruthModel):
        raise DesignError(
            f"{_WHO} needs a fit of a latent-truth model such as DawidSkene, not {type(fit.model).__name__}"
        )
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if isinstance(draws, bool) or draws < 10 or draws % 2:
        raise DataError(f"{_WHO}: draws={draws!r} must be an even number, 10 or more")
    model, judges = fit.model, fit.levels[fit.model.over]
    costs = _costs(cost, judges)
    names = tuple(fit.parameters)
    with double_precision():
        labels = judged_labels(model, table, most=_MOST_PATTERNS, seed=seed)
        at = jax.device_put({name: np.asarray(fit.parameters[name], np.float64) for name in names})
        found = measures(labels, at)
        drawn = parameter_draws(fit, names, n=draws, seed=seed, who=_WHO)
        spread = _over_draws(labels, drawn, draws)
        confusion = np.asarray(jax.jit(judge_confusion)(labels, at))
        data, sums = truth_data(model, table), truth_problem(model, table, prior=False).sums
        truth = np.asarray(jax.jit(lambda params: jax.nn.softmax(sums.log_joint(params), axis=1))(at))
        alike = duplicates(label_pairs(model, data, len(table.categories)), truth, confusion)
    frame = _frame(model.over, judges, found, spread, costs, level)
    n = np.bincount(model.labels(table).codes[model.over], model.labels(table).weight, len(judges))
    frame.insert(1, "n", n)
    flags = [_flag(*ends) for ends in zip(frame["kappa_lower"].tolist(), frame["kappa_upper"].tolist(), strict=True)]
    second = [alike.get(place) for place in range(len(judges))]
    frame["flag"] = [
        "; ".join(filter(None, [flag, twin and f"same labels as {judges[twin[0]]} on all {twin[1]:g} common subjects"]))
        for flag, twin in zip(flags, second, strict=True)
    ]
    frame["advice"] = list(_advice(frame, second))
    return JudgeQuality(frame, confusion, model.over, fit.categories, level, tuple(_notes(labels)))


def _costs(cost: Mapping[Label, float] | None, judges: tuple[Label, ...]) -> Array:
    if cost is None:
        return np.ones(len(judges))
    if unknown := [name for name in cost if name not in judges]:
        raise DataError(f"{_WHO}: cost names {unknown[0]!r}, who is no judge; {nearest(unknown[0], judges)}")
    if lacking := [name for name in judges if name not in cost]:
        raise DataError(
            f"{_WHO}: cost lacks {counted(len(lacking), 'judge')}, the first {lacking[0]!r}: give every one"
        )
    found = np.array([cost[name] for name in judges], np.float64)
    if not np.all(np.isfinite(found) & (found > 0)):
        bad = judges[int(np.argmin(np.isfinite(found) & (found > 0)))]
        raise DataError(f"{_WHO}: cost[{bad!r}]={cost[bad]!r} must be a positive number")
    return found


def _over_draws(labels: JudgedLabels, drawn: Mapping[str, Array], n: int) -> JudgeMeasures:
    """The measures at every draw, shape (draws, judges) each."""
    each = [measures(labels, jax.device_put({name: value[i] for name, value in drawn.items()})) for i in range(n)]
    return JudgeMeasures(*(jnp.stack(of_name) for of_name in zip(*each, strict=True)))


def _frame(
    facet: str, judges: tuple[Label, ...], found: JudgeMeasures, spread: JudgeMeasures, cost: Array, level: float
) -> pd.DataFrame:
    tail = (1 - level) / 2
    columns: dict[str, object] = {facet: pd.Series(list(judges), dtype=object)}
    for name in JudgeMeasures._fields:
        columns[name] = np.asarray(getattr(found, name))
        values = np.asarray(getattr(spread, name))
        if name in ("accuracy", "bits"):
            columns[f"{name}_se"] = values.std(axis=0, ddof=1)
        if name in ("accuracy", "kappa", "bits", "gain"):
            columns[f"{name}_lower"], columns[f"{name}_upper"] = np.quantile(values, [tail, 1 - tail], axis=0)
    frame = pd.DataFrame(columns)
    return frame.assign(cost=cost, per_cost=frame["gain"].to_numpy() / cost)


def _flag(lower: float, upper: float) -> str:
    if upper < 0:
        return f"worse than chance: kappa {upper:.2f} at the most"
    return "not shown to be better than chance" if lower <= 0 else ""


def _advice(frame: pd.DataFrame, second: list[tuple[int, float] | None]) -> Iterator[str]:
    bad = (frame["kappa_upper"] < 0).to_numpy() | np.array([twin is not None for twin in second])
    gain = frame["per_cost"].to_numpy()
    best = gain[~bad].max(initial=0.0)
    for is_bad, own in zip(bad.tolist(), gain.tolist(), strict=True):
        if is_bad or own < _FAR_FROM_BEST * best:
            yield "drop"
        else:
            yield "buy" if own >= _NEAR_BEST * best else "keep"


def _notes(labels: JudgedLabels) -> Iterator[str]:
    if len(labels.known) == _MOST_PATTERNS:
        yield f"lost and gain are means over {_MOST_PATTERNS:,} patterns of labels, drawn at random"
    if not np.any(np.asarray(labels.known) < 0):
        yield "every subject has a gold label, so that no label can tell more of its truth: lost and gain are missing"
