"""How well the levels of a facet are told apart: separation, strata, reliability, chi-squares, agreement."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import counted
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.diagnostics.agreement import ExactAgreement, exact_agreement
from psymetric.diagnostics.moments import measure, response_moments
from psymetric.diagnostics.residuals import sum_by
from psymetric.diagnostics.separation import (
    ChiSquare,
    Separation,
    chi_square,
    fixed_chi_square,
    random_chi_square,
    separation,
)
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import Label
from psymetric.models.space import has_ability
from psymetric.scoring.population import keeps_subjects
from psymetric.scoring.positions import at_position
from psymetric.scoring.score import score

__all__ = ["FacetSummary", "facet_summary"]

Array = NDArray[np.float64]
Errors = Literal["exact", "model"]

_WHO = "facet_summary"
_UNSHRUNK = ("ml", "wle")


@final
@dataclass(frozen=True)
class FacetSummary:
    """Summary of one facet.

    Attributes:
        facet: Its name.
        n_levels: Levels that enter.
        mean: Mean measure, logits.
        mean_se: Mean standard error, logits.
        population: The levels are all there are.
        sample: The levels are a sample.
        fixed: Do all levels have the same measure?
        random: Do the measures look like draws from one normal distribution? None under three levels.
        agreement: Exact agreement between levels that met the same thing; None where none did, for items and for
            subjects.
        errors: "exact" or "model".
        notes: What a reader should know, as sentences.
    """

    facet: str
    n_levels: int
    mean: float
    mean_se: float
    population: Separation
    sample: Separation
    fixed: ChiSquare
    random: ChiSquare | None
    agreement: ExactAgreement | None
    errors: str
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """Rows population and sample: version, n_levels, mean, sd, rmse, true_sd, separation, strata, reliability."""
        versions = {"population": self.population, "sample": self.sample}
        return pd.DataFrame(
            [
                {
                    "version": version,
                    "n_levels": self.n_levels,
                    "mean": self.mean,
                    "sd": found.sd,
                    "rmse": found.rmse,
                    "true_sd": found.true_sd,
                    "separation": found.separation,
                    "strata": found.strata,
                    "reliability": found.reliability,
                }
                for version, found in versions.items()
            ]
        )

    def __str__(self) -> str:
        lines = [f"{self.facet}: {counted(self.n_levels, 'level')}, errors: {self.errors}"]
        for version, found in (("population", self.population), ("sample", self.sample)):
            lines.append(
                f"  {version}: rmse {found.rmse:.3f}, true sd {found.true_sd:.3f}, separation {found.separation:.2f}, "
                f"strata {found.strata:.2f}, reliability {found.reliability:.2f}"
            )
        for name, test in (("fixed", self.fixed), ("random", self.random)):
            if test is not None:
                lines.append(f"  {name} chi-square {test.statistic:.2f}, df {test.df}, p {test.p:.4f}")
        if self.agreement is not None:
            found = self.agreement
            lines.append(f"  exact agreement {found.observed_share:.1%}, expected {found.expected_share:.1%}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def facet_summary(
    fit: Fit, facet: str, table: ResponseTable, *, errors: Errors = "exact", scores: Scores | None = None
) -> FacetSummary:
    """Separation, reliability, chi-squares and agreement of a facet.

    For subjects a high reliability is good; for judges it means that they are not interchangeable.

    Which errors: "exact" are the fit's standard errors, which carry the uncertainty of everything else. Measures that
    sum to zero share error, and both the variance due to error and the fixed chi-square (a Wald test) take the
    covariance into account; this is the default because it is right for few judges and sparse designs. "model" repeats
    FACETS: each level's error with everything else known, 1/√information, taken for independent. With L levels that
    sum to zero it overstates the error in the population version by L/(L − 1), which with three judges is half as much
    again.

    Subjects: their measures are the fit's own (JointML) or WLE; shrunken estimates (EAP, MAP) would count error twice.
    Their errors are taken for independent, and "exact" and "model" differ only after JointML. Extreme scores of a
    JointML fit are left out, with a note.

    Args:
        fit: A fit of a model with subjects.
        facet: "subject" or a facet of the model.
        table: The responses behind it.
        errors: "exact" or "model".
        scores: Measures of the subjects, by "ml" or "wle", where they are at hand.

    Returns:
        The summary; `.frame` holds the population and sample versions.

    Raises:
        DataError: An unknown facet, subjects of several dimensions or whose responses hang together, fewer than two
            levels with an estimate, shrunken scores, or a mismatch of fit and table.

    Source: Wright & Masters (1982), Rating Scale Analysis, ch. 5; Linacre, FACETS manual, Table 7.
    """
    _check(fit, facet, errors, scores)
    if facet == "subject":
        return _subject_summary(fit, table, scores, errors)
    measures, se = fit.parameters[facet], fit.standard_errors[facet]
    covariance = fit.covariances.get(facet, np.diag(se**2))
    measured = measure(fit, table, who=_WHO)
    notes: list[str] = []
    if fit.spec(facet).random:
        notes.append("a random facet: estimates are drawn towards the mean, so that their spread understates the truth")
    if errors == "model":
        information = response_moments(measured).information
        code, weight = measured.rows.codes[facet], np.where(measured.extreme, 0.0, measured.rows.weight)
        with np.errstate(divide="ignore"):
            se = 1 / np.sqrt(sum_by([code], weight * information, len(measures)))
        covariance = np.diag(np.where(np.isfinite(se), se, 0.0) ** 2)
    known = np.isfinite(measures) & np.isfinite(se) & (np.array(fit.extremes.get(facet, ("",) * len(se))) == "")
    if not known.all():
        left_out = counted(int(np.sum(~known)), "level")
        notes.append(f"{left_out} of {len(known)} left out: an extreme score, or no estimate")
    agreement = None if facet == "item" else exact_agreement(measured, table, facet)
    return _summary(facet, measures[known], covariance[np.ix_(known, known)], errors, agreement, tuple(notes))


def _check(fit: Fit, facet: str, errors: str, scores: Scores | None) -> None:
    if errors not in get_args(Errors):
        raise DataError(f'{_WHO}: errors={errors!r} is not known: use "exact" or "model"')
    if not has_ability(fit.model):
        raise DataError(
            f"{_WHO}: {type(fit.model).__name__} compares items and has no facets to summarise: use rank_intervals(fit)"
        )
    if facet not in ("subject", *fit.model.facets):
        known = ["subject", *fit.model.facets]
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no facet {facet!r}: it has {known}")
    if facet == "subject" and at_position(fit.model) is not fit.model:
        raise DataError(
            f"{_WHO}: subjects of {type(fit.model).__name__} have no measures that are not drawn towards the mean, "
            "which a separation needs: use score_reliability(fit, table)"
        )
    if scores is not None and facet != "subject":
        raise DataError(
            f'{_WHO}: scores are of subjects, the facet is {facet!r}: leave scores out, or ask for "subject"'
        )
    if scores is not None and scores.method not in _UNSHRUNK:
        raise DataError(
            f"{_WHO}: scores by {scores.method!r} are drawn towards the mean, so that their spread is not "
            'truth plus error: use score(fit, table, method="wle")'
        )


def _subject_summary(fit: Fit, table: ResponseTable, scores: Scores | None, errors: str) -> FacetSummary:
    found = score(fit, table, method="ml" if keeps_subjects(fit) else "wle") if scores is None else scores
    estimate = found.frame["estimate"].to_numpy(np.float64)
    se = found.frame["se"].to_numpy(np.float64)
    if errors == "model":
        se = _model_errors(fit, table, list(found.frame["subject"]))
    known = np.isfinite(estimate) & np.isfinite(se)
    if found.method == "ml":
        known &= ~found.frame["extreme"].to_numpy(bool)
    notes = [f"measures by {found.method}"]
    if not known.all():
        notes.append(
            f"{counted(int(np.sum(~known)), 'subject')} of {len(known)} left out: extreme score or no estimate"
        )
    return _independent_summary(estimate[known], se[known], errors, tuple(notes))


def _model_errors(fit: Fit, table: ResponseTable, subjects: list[Label]) -> Array:
    """1/√information of each subject with everything else known, in the order of `subjects`."""
    measured = measure(fit, table, who=_WHO)
    weight = np.where(measured.extreme, 0.0, measured.rows.weight)
    found = sum_by(
        [measured.rows.subject], weight * response_moments(measured).information, len(measured.rows.subjects)
    )
    place = {label: code for code, label in enumerate(measured.rows.subjects)}
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(np.array([found[place[label]] if label in place else 0.0 for label in subjects]))


def _independent_summary(measures: Array, se: Array, errors: str, notes: tuple[str, ...]) -> FacetSummary:
    """For many levels with independent errors: no L × L covariance."""
    _require_two("subject", len(measures))
    mean_square = float(np.mean(se**2))
    versions = [separation(float(np.std(measures, ddof=ddof)), float(np.sqrt(mean_square))) for ddof in (0, 1)]
    random = random_chi_square(measures, se) if len(measures) > 2 else None
    return FacetSummary(
        "subject", len(measures), float(measures.mean()), float(se.mean()), versions[0], versions[1],
        fixed_chi_square(measures, se), random, None, errors, notes,
    )  # fmt: skip


def _summary(
    facet: str,
    measures: Array,
    covariance: Array,
    errors: str,
    agreement: ExactAgreement | None,
    notes: tuple[str, ...],
) -> FacetSummary:
    n = len(measures)
    _require_two(facet, n)
    se = np.sqrt(np.diag(covariance))
    if errors == "model":
        population_error = sample_error = float(np.mean(se**2))
        fixed, independent = fixed_chi_square(measures, se), se
    else:
        # What error adds to Σ(D − D̄)² on average: the trace of the centred covariance.
        centred = covariance - covariance.mean(axis=0) - covariance.mean(axis=1)[:, None] + covariance.mean()
        population_error, sample_error = np.trace(centred) / n, np.trace(centred) / (n - 1)
        statistic = float(
            (measures - measures.mean()) @ np.linalg.pinv(centred, hermitian=True) @ (measures - measures.mean())
        )
        fixed = chi_square(statistic, n - 1)
        independent = np.sqrt(np.maximum(np.diag(centred), 0.0) * n / (n - 1))
    return FacetSummary(
        facet,
        n,
        float(measures.mean()),
        float(se.mean()),
        separation(float(np.std(measures)), float(np.sqrt(population_error))),
        separation(float(np.std(measures, ddof=1)), float(np.sqrt(sample_error))),
        fixed,
        random_chi_square(measures, independent) if n > 2 else None,
        agreement,
        errors,
        notes,
    )


def _require_two(facet: str, n: int) -> None:
    if n < 2:
        raise DataError(f"{_WHO}: {facet!r} has {counted(n, 'level')} with an estimate; a spread needs at least two")
