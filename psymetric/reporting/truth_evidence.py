"""Every number of the page of a latent-truth fit, computed once: the sections only arrange and word them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from statsmodels.stats.proportion import proportion_confint

from psymetric.core.precision import double_precision
from psymetric.data.coding import Label
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.judge_dependence import JudgeDependence, judge_dependence
from psymetric.diagnostics.judge_information import JudgedLabels, judge_confusion, judged_labels
from psymetric.diagnostics.judge_quality import judge_quality
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.parameter_draws import parameter_draws
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import PREVALENCE, AbstractTruthModel, Labels
from psymetric.reporting.wording import noun_of
from psymetric.scoring.truth import TrueCategories, true_categories

__all__ = ["DECIDED", "DECIDED_WORDS", "TruthEvidence", "refuse_scale"]

Array = NDArray[np.float64]

DECIDED: Final = 0.8
"""Probability of the likeliest category from which a subject counts as decided."""
DECIDED_WORDS: Final = ".8"
_DRAWS: Final = 200
_MOST_PATTERNS: Final = 2_000
_MOST_TESTED: Final = (200, 20_000)
"""Judges and subjects beyond which testing every pair of judges takes longer than the rest of the page."""


@final
@dataclass(frozen=True)
class TruthEvidence:
    """A fit of a latent-truth model with its table.

    Attributes:
        fit: The fit.
        table: What it was fitted to.
        level: Coverage of the intervals.
        label: None: it stands alone.
    """

    fit: Fit
    table: ResponseTable
    level: float
    label: Label | None = None

    @property
    def model(self) -> AbstractTruthModel:
        """What was fitted."""
        return cast(AbstractTruthModel, self.fit.model)

    @property
    def noun(self) -> str:
        """What has a true category."""
        return noun_of(self.table, "subject")

    @property
    def judge(self) -> str:
        """Who labels."""
        return noun_of(self.table, self.model.over)

    @property
    def names(self) -> tuple[Label, ...]:
        """The judges, gold apart."""
        return self.fit.levels[self.model.over]

    @property
    def is_spread_known(self) -> bool:
        """Whether the fit keeps the joint uncertainty of its parameters."""
        return bool(self.fit.draws) or bool(self.fit.factors)

    @cached_property
    def labels(self) -> Labels:
        """The table in the model's terms."""
        return self.model.labels(self.table)

    @cached_property
    def truths(self) -> TrueCategories:
        """Posterior of the truth, averaged over what the parameters may be where that is known."""
        draws = _DRAWS if self.fit.draws is None and self.is_spread_known else 0
        return true_categories(self.fit, self.table, draws=draws)

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """One row per subject, the least sure first and those with gold last.

        Columns subject, category, probability, error, entropy, n, gold, majority (None where labels are tied), agreeing
        (share of its labels that are the likeliest category), and the probability of every category.
        """
        frame = self.truths.frame.assign(majority=self._majority, agreeing=self._agreeing)
        by_category = self.truths.probability.drop(columns="subject")
        by_category.columns = [f"P({label})" for label in by_category.columns]
        frame = pd.concat([frame, by_category], axis=1)
        return frame.sort_values(["gold", "probability"], kind="stable", ignore_index=True)

    @cached_property
    def votes(self) -> Array:
        """Labels of each subject by category, gold apart, shape (subjects, categories)."""
        n_categories, labels = len(self.fit.categories), self.labels
        cell = labels.codes["subject"].astype(np.int64) * n_categories + labels.response
        total = len(labels.known) * n_categories
        return np.bincount(cell, labels.weight, total).astype(np.float64).reshape(-1, n_categories)

    @property
    def _majority(self) -> pd.Series:
        most, tied = self.votes.argmax(axis=1), (self.votes == self.votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
        names = self.fit.categories
        found = [None if even else names[code] for code, even in zip(most.tolist(), tied.tolist(), strict=True)]
        return pd.Series(found, dtype=object)

    @property
    def _agreeing(self) -> Array:
        place = {label: code for code, label in enumerate(self.fit.categories)}
        chosen = self.truths.frame["category"].map(place).to_numpy(np.int64)
        own, total = self.votes[np.arange(len(chosen)), chosen], self.votes.sum(axis=1)
        return np.divide(own, total, out=np.full(len(own), np.nan), where=total > 0)

    @cached_property
    def open_subjects(self) -> pd.DataFrame:
        """The subjects whose truth gold does not give."""
        return self.subjects[~self.subjects["gold"]]

    @cached_property
    def judges(self) -> pd.DataFrame:
        """One row per judge, the most accurate first: columns of `judge_quality`, the judge called level.

        Without joint uncertainty: n and accuracy alone, the latter with no interval.
        """
        if self.is_spread_known:
            found = judge_quality(self.fit, self.table, level=self.level, draws=_DRAWS).frame
            found = found.rename(columns={self.model.over: "level"})
        else:
            n = np.bincount(self.labels.codes[self.model.over], self.labels.weight, len(self.names))
            own = _accuracy(self._at_estimates)
            found = pd.DataFrame({"level": list(self.names), "n": n, "accuracy": own, "flag": "", "advice": ""})
            found = found.assign(accuracy_se=np.nan, accuracy_lower=np.nan, accuracy_upper=np.nan)
        return found.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)

    @cached_property
    def _laid_out(self) -> JudgedLabels:
        return judged_labels(self.model, self.table, most=_MOST_PATTERNS, seed=0)

    @cached_property
    def _at_estimates(self) -> tuple[Array, Array]:
        """Confusion, shape (judges, truths, categories), and prevalence, shape (truths,)."""
        with double_precision():
            found = _confusions(self._laid_out, jax.device_put(dict(self.fit.parameters)))
        return np.asarray(found[0]), np.asarray(found[1])

    @cached_property
    def _drawn(self) -> tuple[Array, Array] | None:
        """The same at draws of the parameters, with a first axis of draws."""
        if not self.is_spread_known:
            return None
        names = tuple(self.fit.parameters)
        drawn = parameter_draws(self.fit, names, n=_DRAWS, seed=0, who="report")
        with double_precision():
            found = [
                _confusions(self._laid_out, jax.device_put({name: value[at] for name, value in drawn.items()}))
                for at in range(_DRAWS)
            ]
        return np.stack([np.asarray(one) for one, _ in found]), np.stack([np.asarray(one) for _, one in found])

    @cached_property
    def confusion(self) -> Array:
        """Probability of every label given the truth, shape (judges, truths, categories)."""
        return self._at_estimates[0]

    @cached_property
    def confusion_frame(self) -> pd.DataFrame:
        """Columns level (the judge), truth, label, estimate, lower, upper."""
        names, categories = list(self.names), list(self.fit.categories)
        index = pd.MultiIndex.from_product([names, categories, categories], names=["level", "truth", "label"])
        frame = index.to_frame(index=False).assign(estimate=self.confusion.ravel(), lower=np.nan, upper=np.nan)
        if self._drawn is not None:
            lower, upper = self._quantiles(self._drawn[0])
            frame = frame.assign(lower=lower.ravel(), upper=upper.ravel())
        return frame

    def _quantiles(self, draws: Array) -> Array:
        tail = (1 - self.level) / 2
        return np.quantile(draws, [tail, 1 - tail], axis=0)

    @cached_property
    def accuracy(self) -> tuple[float, float, float]:
        """Probability that a label is right, mean over all labels, with its interval (NaN where that is unknown)."""
        share = np.bincount(self.labels.codes[self.model.over], self.labels.weight, len(self.names))
        share = share / share.sum()
        estimate = float(share @ _accuracy(self._at_estimates))
        if self._drawn is None:
            return estimate, float("nan"), float("nan")
        drawn = _accuracy(self._drawn) @ share
        if self.fit.draws is not None:
            lower, upper = self._quantiles(drawn)
            return estimate, float(lower), float(upper)
        # Normal draws of logits are skewed as probabilities: over hundreds of judges their mean is not the estimate.
        reach = float(ndtri((1 + self.level) / 2) * drawn.std(ddof=1))
        return estimate, max(estimate - reach, 0.0), min(estimate + reach, 1.0)

    @cached_property
    def prevalence(self) -> pd.DataFrame:
        """Columns group (where there are groups), category, estimate, se, lower, upper."""
        frame = self.fit.estimates(PREVALENCE, level=self.level).rename(columns={"level": "truth"})
        columns = {"truth": "category"} | ({self.model.groups: "group"} if self.model.groups else {})
        frame = frame.rename(columns=columns)
        return frame[[*dict.fromkeys(reversed(columns.values())), "estimate", "se", "lower", "upper"]]

    @cached_property
    def dependence(self) -> JudgeDependence | None:
        """Whether judges agree beyond the truth; None where the model says how, or nothing can be tested."""
        sizes = len(self.names), len(self.labels.known)
        too_many = any(size > most for size, most in zip(sizes, _MOST_TESTED, strict=True))
        if isinstance(self.model, AbstractSharedStateModel) or too_many or sizes[0] < 3:
            return None
        try:
            return judge_dependence(self.fit, self.table, level=self.level)
        except DataError:  # no subject has two labels
            return None

    @cached_property
    def gold(self) -> pd.DataFrame:
        """Labels of subjects with gold, one row per judge; no rows without gold.

        Columns level, n, agreed, share, lower, upper (Wilson's interval).
        """
        labels, over = self.labels, self.model.over
        known = labels.known[labels.codes["subject"]]
        both = known >= 0
        judge, weight = labels.codes[over][both], labels.weight[both]
        n = np.bincount(judge, weight, len(self.names))
        agreed = np.bincount(judge, weight * (labels.response[both] == known[both]), len(self.names))
        frame = pd.DataFrame({"level": list(self.names), "n": n, "agreed": agreed})
        frame = frame[frame["n"] > 0].reset_index(drop=True)
        lower, upper = _wilson(frame["agreed"].to_numpy(float), frame["n"].to_numpy(float), self.level)
        return frame.assign(share=frame["agreed"] / frame["n"], lower=lower, upper=upper)

    @property
    def gold_share(self) -> tuple[float, float, float, float]:
        """Labels of subjects with gold that agree with it, all of them, and the ends of the share's interval."""
        agreed, n = float(self.gold["agreed"].sum()), float(self.gold["n"].sum())
        lower, upper = _wilson(np.array([agreed]), np.array([n]), self.level)[:, 0].tolist()
        return agreed, n, lower, upper


def refuse_scale(model: AbstractTruthModel, *, scores: object, truth: object) -> None:
    """Raise DataError where something was passed that belongs to measures on a scale."""
    if named := [name for name, value in (("scores", scores), ("truth", truth)) if value is not None]:
        raise DataError(
            f"report: {' and '.join(named)} belong to measures on a scale, and {type(model).__name__} has categories; "
            "leave them out"
        )


def _wilson(count: Array, n: Array, level: float) -> Array:
    """Wilson's interval of shares, shape (2, shares); labels count as independent."""
    return np.asarray(proportion_confint(count, n, alpha=1 - level, method="wilson"), np.float64)


def _accuracy(found: tuple[Array, Array]) -> Array:
    """Probability that a label is the truth, shape (..., judges), of confusion and prevalence."""
    confusion, prevalence = found
    return np.einsum("...jmm,...m->...j", confusion, prevalence)


@jax.jit
def _confusions(labels: JudgedLabels, params: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Confusion of every judge, and the prevalence over all subjects."""
    truth = jnp.exp(labels.model.truth_log_probs(params, labels.subjects, labels.n_categories))
    return judge_confusion(labels, params), jnp.average(truth, axis=0, weights=labels.multiplicity)
