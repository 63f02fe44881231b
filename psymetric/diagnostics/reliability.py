"""How reproducible scores are: a scale's internal consistency, and the reliability of a fit's measures."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtri

from psymetric.data.messages import counted, listing
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.facets import facet_summary
from psymetric.diagnostics.omega import Saturation, default_factors, saturation
from psymetric.diagnostics.scale_matrix import scale_matrix
from psymetric.diagnostics.separation import separation
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import has_dimensions
from psymetric.scoring.score import score

__all__ = ["ScaleReliability", "scale_reliability", "score_reliability"]

Array = NDArray[np.float64]
Repeats = Literal["error", "mean"]

_WHO = "scale_reliability"
_NOTHING = 1e-10
_RELIABILITY = ["coefficient", "value", "lower", "upper", "n_subjects", "source"]
"""Variance below this is rounding of zero."""
_SOURCES = {
    "alpha": "Cronbach 1951; interval Feldt 1965",
    "standardised alpha": "Cronbach 1951, of correlations",
    "lambda-6": "Guttman 1945",
    "omega one factor": "McDonald 1999, one common factor",
    "omega total": "McDonald 1999",
    "omega hierarchical": "McDonald 1999, Schmid-Leiman",
}


@final
@dataclass(frozen=True, repr=False)
class ScaleReliability:
    """Internal consistency of the sum of a scale's items.

    Attributes:
        frame: One row per coefficient: coefficient, value, lower, upper, n_subjects, n_items, source.
        items: One row per item: item, mean, sd (units of the ratings), item_rest (correlation with the sum of the other
            items), alpha_if_deleted, general_loading, communality (of the solution behind omega hierarchical).
        factors: Group factors behind omega total and hierarchical.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    items: pd.DataFrame
    factors: int
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [
            f"  {row['coefficient']:<20}{row['value']:6.3f}  [{row['lower']:.3f}, {row['upper']:.3f}]"
            for _, row in self.frame.iterrows()
        ]
        return "\n".join([f"reliability, {self.level:.0%} intervals", *rows, *(f"  note: {n}" for n in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def scale_reliability(
    table: ResponseTable,
    *,
    repeats: Repeats = "error",
    factors: int | None = None,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> ScaleReliability:
    r"""Internal consistency of a scale: alpha, lambda-6, omegas, and what each item adds.

    With item covariances $s_{ij}$ of I items and total variance $V = \sum s_{ij}$, alpha is
    $\frac{I}{I-1}(1 - \sum s_{ii} / V)$. Omegas are of the sum of standardised items: hierarchical is the share of its
    variance due to one general factor, total the share due to all common factors. Alpha equals omega only where all
    items load alike, and does not say that there is one factor.

    Items count as coded: reverse-keyed ones must have been turned. Only subjects who answered every item enter; where
    items were planned to be missing, fit a model and use `score_reliability`.

    Args:
        table: Responses with two items or more. Numeric categories are taken as they are, others as 0…K−1.
        repeats: Several responses of a subject to an item, as by several judges: "error" refuses them (choose one judge
            by `table.select`), "mean" takes their mean by weight, which is the reliability of a panel's mean rating.
        factors: Group factors of omega; by default 3 from six items on, else 1, where hierarchical and total are one.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of subjects for every interval but that of alpha; 0 leaves them out.
        seed: Seed of the bootstrap.

    Returns:
        A frame of coefficients and one of items. Intervals: Feldt's F for alpha, percentiles of the bootstrap for the
        others. NaN only where `notes` says why.

    Raises:
        DataError: No items, one item, several dimensions, repeats, fewer than three complete subjects, an item or a sum
            without variance.

    Source: Feldt (1965), Psychometrika 30, 357-370; Guttman (1945), Psychometrika 10, 255-282; McDonald (1999), Test
    Theory, ch. 6; Zinbarg, Revelle, Yovel & Li (2005), Psychometrika 70, 123-133.
    """
    if repeats not in get_args(Repeats):
        raise DataError(f'{_WHO}: repeats={repeats!r} is not known: use "error" or "mean"')
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if draws < 0:
        raise DataError(f"{_WHO}: draws={draws} bootstrap samples; ask for 0 or more")
    matrix = scale_matrix(table, mean=repeats == "mean", who=_WHO)
    values, n_items = matrix.values, len(matrix.items)
    chosen = default_factors(n_items) if factors is None else factors
    if not 1 <= chosen <= max(n_items // 2, 1):
        raise DataError(f"{_WHO}: factors={factors} of {counted(n_items, 'item')}; ask for 1 to {max(n_items // 2, 1)}")
    covariance = np.cov(values.T)
    found, solutions = _coefficients(covariance, chosen)
    drawn = _bootstrap(values, solutions[-1], chosen, draws, seed)
    lower, upper, failed = _percentiles(drawn, np.isfinite(found), level)
    lower[0], upper[0] = _feldt(found[0], len(values), n_items, level)
    frame = pd.DataFrame(
        {
            "coefficient": list(_SOURCES), "value": found, "lower": lower, "upper": upper,
            "n_subjects": len(values), "n_items": n_items, "source": list(_SOURCES.values()),
        }
    )  # fmt: skip
    items = _item_frame(matrix.items, values, covariance, solutions[-1])
    notes = [*matrix.notes, *_notes(items, solutions, draws, failed)]
    return ScaleReliability(frame, items, chosen, level, tuple(notes))


def score_reliability(
    fit: Fit, table: ResponseTable, *, level: float = 0.95, draws: int = 200, seed: int = 0
) -> pd.DataFrame:
    r"""Reliability of the measures of subjects, from their errors: EAP, WLE and person separation.

    EAP: $\operatorname{var}(\hat\theta) / (\operatorname{var}(\hat\theta) + \overline{\mathrm{sd}^2})$, since posterior
    means vary less than the truth. WLE: $1 - \overline{\mathrm{SE}^2} / \operatorname{var}(\hat\theta)$, since these
    vary more. Person separation is `facet_summary(fit, "subject", table)` in its sample version: the same as WLE for
    fits that integrate subjects out, and of the fit's own measures without extreme scores after `JointML`.

    Several dimensions, and responses that hang together: EAP reliability only, of each dimension.

    Missing responses widen the errors of their subjects and so count.

    Args:
        fit: A fit of a model with subjects.
        table: The responses behind it.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of subjects for the intervals of EAP and WLE reliability, 1 or more.
        seed: Seed of the bootstrap.

    Returns:
        coefficient, value, lower, upper, n_subjects, source; with several dimensions `dimension` first. Intervals carry
        the sampling of subjects, with the fit
        held; separation, a ratio of standard deviations in units of the error, and strata have none (NaN).

    Raises:
        DataError: A model without subjects, fewer than two subjects with an estimate, a population that cannot be
            estimated, or a mismatch of fit and table.

    Source: Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444; Adams (2005), Studies in Educational
    Evaluation 31, 162-172; Wright & Masters (1982), Rating Scale Analysis, ch. 5.
    """
    who = "score_reliability"
    if not 0 < level < 1 or draws < 1:
        raise DataError(f"{who}: level={level}, draws={draws}; give a coverage inside (0, 1) and at least 1 draw")
    if has_dimensions(fit.model) or isinstance(fit.model, AbstractNestedModel):
        return _of_dimensions(score(fit, table, method="eap").frame, level, draws, seed)
    wle = score(fit, table, method="wle")
    rows: list[tuple[str, float, float, float, int, str]] = []
    for method, source in (("eap", "Bock & Mislevy 1982"), ("wle", "Adams 2005")):
        scores = wle if method == "wle" else score(fit, table, method="eap")
        rows.append((f"{method.upper()} reliability", *_known_share(scores.frame, method, level, draws, seed), source))
    summary = facet_summary(fit, "subject", table, scores=None)
    sample, source, none = summary.sample, "Wright & Masters 1982, sample", float("nan")
    for name in ("reliability", "separation", "strata"):
        title = "person separation reliability" if name == "reliability" else f"person {name}"
        rows.append((title, float(getattr(sample, name)), none, none, summary.n_levels, source))
    return pd.DataFrame(rows, columns=_RELIABILITY)


def _of_dimensions(frame: pd.DataFrame, level: float, draws: int, seed: int) -> pd.DataFrame:
    """EAP reliability of each dimension, or of the one that there is."""
    several = "dimension" in frame.columns
    parts = list(frame.groupby("dimension", sort=False)) if several else [("", frame)]
    rows = [
        ("EAP reliability", *_known_share(part, "eap", level, draws, seed), "Bock & Mislevy 1982") for _, part in parts
    ]
    found = pd.DataFrame(rows, columns=_RELIABILITY)
    if several:
        found.insert(0, "dimension", [name for name, _ in parts])
    return found


def _known_share(
    frame: pd.DataFrame, method: str, level: float, draws: int, seed: int
) -> tuple[float, float, float, int]:
    """Share of true variance among those with an estimate, its interval, and their number."""
    estimate, se = (frame[name].to_numpy(np.float64) for name in ("estimate", "se"))
    known = np.isfinite(estimate) & np.isfinite(se)
    if known.sum() < 2:
        raise DataError(
            f"score_reliability: {counted(int(known.sum()), 'subject')} with an estimate; a spread needs two"
        )
    return *_spread_share(estimate[known], se[known], method == "eap", level, draws, seed), int(known.sum())


def _coefficients(covariance: Array, factors: int, near: Saturation | None = None) -> tuple[Array, list[Saturation]]:
    """The coefficients in the order of their sources, and the factor solutions (one factor; group factors)."""
    n_items, sd = len(covariance), np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    np.fill_diagonal(correlation, 1.0)
    total = correlation.sum()
    alpha = n_items / (n_items - 1) * (1 - np.trace(covariance) / covariance.sum())
    standardised = n_items / (n_items - 1) * (1 - n_items / total)
    if np.linalg.matrix_rank(correlation) < n_items:
        lambda_6 = float("nan")
    else:
        lambda_6 = 1 - float(np.sum(1 / np.diag(np.linalg.inv(correlation)))) / total
    if n_items < 3:
        none = np.full(n_items, np.nan)
        one = Saturation(none, none, float("nan"), float("nan"), "two items do not determine a factor")
        solutions = [one, one]
    else:
        one = saturation(correlation, 1)
        solutions = [one, one if factors == 1 else saturation(correlation, factors, near=near)]
    last = solutions[-1]
    return np.array([alpha, standardised, lambda_6, one.total, last.total, last.hierarchical]), solutions


def _feldt(alpha: float, n_subjects: int, n_items: int, level: float) -> tuple[float, float]:
    """Interval of alpha from (1 − α)/(1 − a) ~ F(n − 1, (n − 1)(I − 1))."""
    df = n_subjects - 1, (n_subjects - 1) * (n_items - 1)
    ends = [1 - (1 - alpha) * float(fdtri(*df, tail)) for tail in ((1 + level) / 2, (1 - level) / 2)]
    return ends[0], ends[1]


def _bootstrap(values: Array, near: Saturation, factors: int, draws: int, seed: int) -> Array:
    """Coefficients of resampled subjects, shape (draws, coefficients); NaN where an item had no variance."""
    rng, n = np.random.default_rng(seed), len(values)
    centred = values - values.mean(axis=0)
    drawn = np.full((draws, len(_SOURCES)), np.nan)
    for row in drawn:
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        mean = times @ centred / n
        covariance = (centred * times[:, None]).T @ centred / n - np.outer(mean, mean)
        if np.diag(covariance).min() > _NOTHING and covariance.sum() > _NOTHING:
            row[:] = _coefficients(covariance, factors, near)[0]
    return drawn


def _percentiles(drawn: Array, defined: NDArray[np.bool_], level: float) -> tuple[Array, Array, int]:
    """Interval of each coefficient that the data define, and how many samples lack one of them."""
    ends = np.full((2, len(defined)), np.nan)
    for place in np.flatnonzero(defined):
        proper = drawn[np.isfinite(drawn[:, place]), place]
        if proper.size:
            ends[:, place] = np.quantile(proper, [(1 - level) / 2, (1 + level) / 2])
    return ends[0], ends[1], int(np.sum(~np.isfinite(drawn[:, defined]).all(axis=1)))


def _item_frame(labels: tuple[object, ...], values: Array, covariance: Array, solution: Saturation) -> pd.DataFrame:
    n_items, own = len(labels), np.diag(covariance)
    with_rest = covariance.sum(axis=1) - own
    rest = covariance.sum() - 2 * with_rest - own
    with np.errstate(divide="ignore", invalid="ignore"):
        item_rest = np.where(rest > 0, with_rest / np.sqrt(own * rest), np.nan)
        without = (n_items - 1) / (n_items - 2) * (1 - (own.sum() - own) / rest) if n_items > 2 else np.nan
    return pd.DataFrame(
        {
            "item": pd.Series(labels, dtype=object),
            "mean": values.mean(axis=0),
            "sd": np.sqrt(own),
            "item_rest": item_rest,
            "alpha_if_deleted": without,
            "general_loading": solution.general,
            "communality": solution.communality,
        }
    )


def _notes(items: pd.DataFrame, solutions: list[Saturation], draws: int, failed: int) -> list[str]:
    notes = [f"omega: {remark}" for remark in dict.fromkeys(s.remark for s in solutions) if remark]
    if any("singular" in note for note in notes):
        notes.append("lambda-6 is not defined where the items' correlations are singular")
    if len(items) == 2:
        notes.append("two items: no alpha is left once one is deleted")
    against = items.loc[items["item_rest"] < 0, "item"].tolist()
    if against:
        notes.append(f"items {listing(against)} correlate negatively with the rest: are they reverse-keyed?")
    if not draws:
        notes.append("draws=0: only alpha has an interval")
    elif failed:
        notes.append(f"{failed} of {draws} bootstrap samples lacked a coefficient and were left out of its interval")
    return notes


def _spread_share(
    estimate: Array, se: Array, shrunken: bool, level: float, draws: int, seed: int
) -> tuple[float, float, float]:
    """Share of true variance and its percentile interval over resampled subjects."""

    def share(who: NDArray[np.int64]) -> float:
        variance, error = float(np.var(estimate[who], ddof=1)), float(np.mean(se[who] ** 2))
        if shrunken:
            return variance / (variance + error)
        return separation(float(np.sqrt(variance)), float(np.sqrt(error))).reliability

    n = len(estimate)
    rng = np.random.default_rng(seed)
    drawn = [share(rng.integers(0, n, n)) for _ in range(draws)]
    lower, upper = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return share(np.arange(n)), float(lower), float(upper)
