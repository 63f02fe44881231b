"""Dimensionality: principal components of what the model leaves over, against what it would leave over if it held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.local_dependence import at_estimates, cell_residuals, check_facet, pair_correlations
from psymetric.diagnostics.moments import Measured, measure
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import Label
from psymetric.scoring.abilities import find_extremes, maximum_likelihood
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import probabilities
from psymetric.scoring.population import keeps_subjects
from psymetric.scoring.positions import positions_of
from psymetric.scoring.posterior import Posterior

__all__ = ["ResidualComponents", "residual_components"]

Array = NDArray[np.float64]

_WHO = "residual_components"
_FEWEST_LEVELS, _MOST_LEVELS = 3, 2_000
_FEWEST_SUBJECTS = 4
"""Shared subjects under which a pair of levels counts as unknown."""
_MOST_UNKNOWN = 0.5
"""Share of unknown pairs above which components would be about the design."""


@final
@dataclass(frozen=True)
class ResidualComponents:
    """Principal components of standardised residuals between levels of a facet.

    Attributes:
        facet: Whose levels.
        eigenvalues: One row per component: component (from 1), eigenvalue (in units of one level's variance), share
            (of the total), simulated_mean, simulated_upper (mean and quantile over tables simulated from the fit; NaN
            without simulations), flag.
        loadings: One row per level: level (label), contrast_1, contrast_2, … (correlations of the level's residuals
            with the component; the sign of a component is free, the largest loading is made positive).
        n_subjects: Subjects with a residual on at least two levels.
        simulations: Tables simulated for the band.
        unknown_pairs: Pairs of levels with fewer than four common subjects, whose correlation was taken as 0, in the
            data and in every simulation alike.
        notes: What a reader of the numbers must know, as sentences.
    """

    facet: str
    eigenvalues: pd.DataFrame
    loadings: pd.DataFrame
    n_subjects: int
    simulations: int
    unknown_pairs: int
    notes: tuple[str, ...]

    @property
    def n_beyond_chance(self) -> int:
        """Leading components that pass the simulated band; the first that does not ends the count."""
        beyond = (self.eigenvalues["eigenvalue"] > self.eigenvalues["simulated_upper"]).to_numpy()
        return int(np.argmin(beyond)) if not beyond.all() else len(beyond)


def residual_components(
    fit: Fit,
    table: ResponseTable,
    *,
    facet: str = "item",
    n_contrasts: int = 3,
    simulations: int = 100,
    quantile: float = 0.95,
    seed: int = 0,
) -> ResidualComponents:
    """Principal components of standardised residuals, with a parallel band simulated from the fit.

    Residuals (x − E)/√V are taken at each subject's estimate, combined where a subject has several responses to a
    level, and correlated over subjects, pair by pair where responses are missing. Under the model nothing is left to
    find, but chance still gives first eigenvalues of 1.2 to 2, the more so the fewer subjects: the band says how large.
    For it the responses are drawn anew from the model, subjects from the population (`JointML`: at their measures), and
    abilities estimated again; items and judges stay at their estimates. A component above the band is a second
    dimension, or dependence between a few levels: its loadings say which.

    Missing responses are left out; a matrix of pairwise correlations can have small negative eigenvalues. Rows of an
    extreme score (JointML) are left out.

    Args:
        fit: A fit of a model with subjects.
        table: The responses. Simulations need whole-number weights; a row of weight 2 is drawn twice.
        facet: Whose levels to compare: "item", "judge", …
        n_contrasts: Components whose loadings are returned.
        simulations: Tables to simulate; 0 for none. Each costs about one scoring of the table.
        quantile: Of the simulated eigenvalues, the upper end of the band, in (0, 1).
        seed: Seed of the simulations.

    Returns:
        Eigenvalues with their band, and loadings.

    Raises:
        DataError: A model without subjects, an unknown facet, fewer than three levels or more than 2,000, a level
            whose residuals do not vary, most pairs of levels without common subjects, or a mismatch of fit and table.

    Source: Linacre (1998), Journal of Outcome Measurement 2, 266-283; band: Horn (1965), Psychometrika 30, 179-185;
    Raîche (2005), Rasch Measurement Transactions 19:1, 1012.
    """
    _check_settings(n_contrasts, simulations, quantile)
    check_facet(fit, table, facet, who=_WHO)
    labels = list(table.levels[facet])
    _check_levels(labels, facet)
    measured = measure(fit, table, who=_WHO)
    level = table.codes[facet]
    correlation, n_subjects, unknown = _correlation(at_estimates(measured), level, len(labels))
    _check_correlation(correlation, labels, unknown, facet)
    values, vectors = np.linalg.eigh(np.nan_to_num(correlation))
    values, vectors = values[::-1], vectors[:, ::-1]
    band = _simulated(fit, table, measured, facet, simulations=simulations, seed=seed)
    upper = np.quantile(band, quantile, axis=0) if simulations else np.full(len(values), np.nan)
    eigenvalues = pd.DataFrame(
        {
            "component": np.arange(1, len(values) + 1),
            "eigenvalue": values,
            "share": values / len(values),
            "simulated_mean": band.mean(axis=0) if simulations else np.nan,
            "simulated_upper": upper,
        }
    )
    text = f"beyond chance: larger than in {quantile:.3g} of simulated tables"
    eigenvalues["flag"] = np.where(np.logical_and.accumulate(values > upper), text, "")
    return ResidualComponents(
        facet=facet,
        eigenvalues=eigenvalues,
        loadings=_loadings(labels, values, vectors, min(n_contrasts, len(values))),
        n_subjects=n_subjects,
        simulations=simulations,
        unknown_pairs=unknown,
        notes=_notes(values, unknown, simulations),
    )


def _check_settings(n_contrasts: int, simulations: int, quantile: float) -> None:
    if n_contrasts < 1 or simulations < 0:
        raise DataError(f"{_WHO}: n_contrasts={n_contrasts} must be 1 or more, and simulations={simulations} 0 or more")
    if not 0 < quantile < 1:
        raise DataError(f"{_WHO}: quantile={quantile} is not between 0 and 1, such as 0.95")


def _check_levels(labels: Sequence[Label], facet: str) -> None:
    if len(labels) < _FEWEST_LEVELS:
        raise DataError(
            f"{_WHO}: facet {facet!r} has {len(labels)} levels, and components need {_FEWEST_LEVELS}: two levels have "
            "one correlation, which residual_correlations gives"
        )
    if len(labels) > _MOST_LEVELS:
        raise DataError(
            f"{_WHO}: facet {facet!r} has {len(labels):,} levels, too many for a matrix of correlations (at most "
            f"{_MOST_LEVELS:,}): select some of them"
        )


def _check_correlation(correlation: Array, labels: Sequence[Label], unknown: int, facet: str) -> None:
    pairs = len(labels) * (len(labels) - 1) / 2
    if unknown > _MOST_UNKNOWN * pairs:
        raise DataError(
            f"{_WHO}: {unknown:,} of {pairs:,.0f} pairs of levels of {facet!r} share fewer than {_FEWEST_SUBJECTS} "
            "subjects: name a facet that is crossed with the subjects, or select levels that are"
        )
    if len(constant := np.flatnonzero(np.isnan(correlation).any(axis=0))):
        raise DataError(
            f"{_WHO}: residuals of {facet} {labels[constant[0]]!r} do not vary over the subjects it shares with "
            "another level: leave it out"
        )


def _correlation(measured: Measured, level: NDArray[np.int32], n_levels: int) -> tuple[Array, int, int]:
    """Correlations, shape (L, L), NaN where residuals are constant; subjects behind them; pairs taken as zero."""
    found = cell_residuals(measured, level, n_levels)
    first, second, shared, value = pair_correlations(found.standardised, found.present)
    enough = shared >= _FEWEST_SUBJECTS
    matrix = np.eye(n_levels)
    matrix[first[enough], second[enough]] = matrix[second[enough], first[enough]] = value[enough]
    n_subjects = int(np.count_nonzero(np.diff(found.present.indptr) >= 2))
    return matrix, n_subjects, n_levels * (n_levels - 1) // 2 - int(np.count_nonzero(enough))


def _simulated(fit: Fit, table: ResponseTable, measured: Measured, facet: str, *, simulations: int, seed: int) -> Array:
    """Eigenvalues, largest first, of tables drawn from the fit, shape (simulations, L)."""
    n_levels = len(table.levels[facet])
    found = np.full((simulations, n_levels), np.nan)
    if not simulations:
        return found
    rows, kept = _copies(measured)
    places = None if keeps_subjects(fit) else positions_of(fit, rows, table, who=_WHO)
    level, rng = table.codes[facet], np.random.default_rng(seed)
    for number in range(simulations):
        if places is None:
            drawn = _estimated(_drawn(rows, rows, measured.abilities.mean, rng))
        else:
            drawn = _measured(fit, _drawn(rows, places.rows, places.anew(rng), rng), table)
        correlation, _, _ = _correlation(drawn, level[kept], n_levels)
        found[number] = np.linalg.eigvalsh(np.nan_to_num(correlation))[::-1]
    return found


def _copies(measured: Measured) -> tuple[AlignedRows, NDArray[np.int64]]:
    """The rows to draw, each as often as its weight says, and where they stand in the table.

    Raises:
        DataError: A weight that is not a whole number.
    """
    weight = np.where(measured.extreme, 0.0, measured.rows.weight)
    whole = np.rint(weight)
    if np.any(whole != weight):
        raise DataError(f"{_WHO}: simulations need whole-number weights: pass simulations=0, or round the weights")
    kept = np.repeat(np.arange(len(weight)), whole.astype(np.int64))
    rows = measured.matched.take(kept)
    return replace(rows, weight=np.ones(len(kept))), kept


def _drawn(rows: AlignedRows, at: AlignedRows, theta: Array, rng: np.random.Generator) -> AlignedRows:
    """The same rows with responses drawn from the model at the respondents' positions `theta`, shape (P,)."""
    probability = probabilities(at, theta[:, None], np.ones((len(theta), 1)))
    above = rng.random(len(probability))[:, None] > np.cumsum(probability, axis=1)[:, :-1]
    return replace(rows, response=above.sum(axis=1).astype(np.int32))


def _measured(fit: Fit, rows: AlignedRows, table: ResponseTable) -> Measured:
    """Rows with their subjects at the posterior means."""
    found = positions_of(fit, rows, table, who=_WHO)
    return at_estimates(Measured(rows, found.rows, found.posterior, np.zeros(len(rows.response), bool), False, found))


def _estimated(rows: AlignedRows) -> Measured:
    """Rows with abilities estimated from them by maximum likelihood, where there is no population."""
    extremes = find_extremes(rows)
    theta = np.nan_to_num(maximum_likelihood(rows, extremes, adjustment=0.3).estimate)[:, None]
    return Measured(rows, rows, Posterior(theta, np.ones_like(theta)), extremes.either[rows.subject], True)


def _loadings(labels: Sequence[Label], values: Array, vectors: Array, n_contrasts: int) -> pd.DataFrame:
    """Eigenvectors scaled to correlations, the largest loading of each positive."""
    chosen = vectors[:, :n_contrasts] * np.sqrt(np.maximum(values[:n_contrasts], 0.0))
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(n_contrasts)]
    chosen = chosen * np.where(largest < 0, -1.0, 1.0)
    frame = pd.DataFrame({"level": pd.Series(labels, dtype=object)})
    return frame.assign(**{f"contrast_{k + 1}": chosen[:, k] for k in range(n_contrasts)})


def _notes(values: Array, unknown: int, simulations: int) -> tuple[str, ...]:
    notes: list[str] = []
    if unknown:
        notes.append(
            f"{unknown} pairs of levels share fewer than {_FEWEST_SUBJECTS} subjects: their correlation was taken as "
            "0, here and in the simulations"
        )
    if values[-1] < -1e-8:
        notes.append(f"pairwise correlations do not fit together exactly: the smallest eigenvalue is {values[-1]:.2f}")
    if simulations == 0:
        notes.append("without simulations there is no band, and no eigenvalue can be called large")
    return tuple(notes)
