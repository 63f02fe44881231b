"""Measures against a norm: z, T and percentiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from psymetric.core.provenance import Provenance
from psymetric.data.messages import counted
from psymetric.data.scores import Scores
from psymetric.errors import DataError

__all__ = ["norms"]

Array = NDArray[np.float64]

_WHO = "norms"
_SMALL = 100
"""Below so many subjects a norm's own sampling error is worth a note."""


@final
@dataclass(frozen=True)
class _Norm:
    """Mean and sd in logits, the sorted measures of the norm group (None where it is normal), and what to say of it."""

    mean: float
    sd: float
    group: Array | None
    notes: tuple[str, ...] = ()

    def percentile(self, value: Array) -> Array:
        """Percentile rank: the share of the norm below, and half of what is equal, in percent."""
        if self.group is None:
            return 100 * ndtr((value - self.mean) / self.sd)
        below, upto = (np.searchsorted(self.group, value, side=side) for side in ("left", "right"))
        return np.where(np.isnan(value), np.nan, 50.0 * (below + upto) / len(self.group))


def norms(
    scores: Scores,
    *,
    mean: float | None = None,
    sd: float | None = None,
    reference: Scores | None = None,
    t_mean: float = 50.0,
    t_sd: float = 10.0,
) -> Scores:
    """Measures as T-scores and percentiles of a norm, each with its uncertainty.

    z = (measure − mean) / sd and T = 50 + 10 z. Standard errors and intervals are those of the measure, put on the new
    scale: they say how well the subject is known, with the norm taken as it is. What the norm group's size leaves open
    about the norm is in `norm_se`, which moves all subjects of about the same z together and so cancels in comparisons.

    The norm is the spread of measures as they are estimated: EAP varies less than the abilities, ML and WLE more. A
    norm therefore serves only measures of the same method, from about as many responses.

    Args:
        scores: What to place.
        mean: Mean of the norm, in the unit of `scores`; with `sd`. Percentiles are then those of a normal distribution.
        sd: Standard deviation of the norm, positive.
        reference: Instead of both, the measures of a norm group. Percentiles are then its own.
        t_mean: Mean of the T scale.
        t_sd: Standard deviation of the T scale, positive.

    Returns:
        Scores in unit "T": `estimate`, `se`, `lower` and `upper` are T-scores. Further columns: `measure` (as it was),
        `z`, `z_se`, `percentile` with `percentile_lower` and `percentile_upper` (0 to 100, the ends of the interval
        looked up in the norm) and, with `reference`, `norm_se` (T). A missing measure stays missing.

    Raises:
        DataError: Neither or both ways of giving a norm, an sd that is not positive, a reference of another method or
            unit, or one whose measures do not vary.

    Source: Crocker & Algina (1986), Introduction to Classical and Modern Test Theory, ch. 19; standard error of a
    standardised norm: delta method, var(z) = 1/n + z² / (2 (n − 1)) for a normal group.
    """
    if not (t_sd > 0 and np.isfinite(t_mean)):
        raise DataError(f"{_WHO}: t_mean={t_mean} and t_sd={t_sd} make no scale; the usual ones are 50 and 10")
    norm = _norm_of(scores, mean, sd, reference)
    frame = scores.frame
    measure, se, lower, upper = (frame[name].to_numpy(np.float64) for name in ("estimate", "se", "lower", "upper"))
    z = (measure - norm.mean) / norm.sd
    placed = frame.assign(
        estimate=t_mean + t_sd * z,
        se=t_sd * se / norm.sd,
        lower=t_mean + t_sd * (lower - norm.mean) / norm.sd,
        upper=t_mean + t_sd * (upper - norm.mean) / norm.sd,
        measure=measure,
        z=z,
        z_se=se / norm.sd,
        percentile=norm.percentile(measure),
        percentile_lower=norm.percentile(lower),
        percentile_upper=norm.percentile(upper),
    )
    if norm.group is not None:
        n = len(norm.group)
        placed["norm_se"] = t_sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    # Plausible values are measures too; in logits beside T-scores they would only mislead.
    for name in [str(name) for name in placed if str(name).startswith("pv")]:
        placed[name] = t_mean + t_sd * (placed[name] - norm.mean) / norm.sd
    settings = {"norm_mean": norm.mean, "norm_sd": norm.sd, "t_mean": t_mean, "t_sd": t_sd}
    return replace(
        scores,
        frame=placed,
        unit="T",
        carries=f"{scores.carries} The norm is taken as it is.",
        notes=(*scores.notes, *norm.notes),
        provenance=Provenance(
            scores.provenance.source, {**scores.provenance.settings, **settings}, scores.provenance.seed
        ),
    )


def _norm_of(scores: Scores, mean: float | None, sd: float | None, reference: Scores | None) -> _Norm:
    if reference is None:
        if mean is None or sd is None:
            raise DataError(f"{_WHO}: give mean= and sd= of the norm, or reference= with the scores of a norm group")
        if not (sd > 0 and np.isfinite([mean, sd]).all()):
            raise DataError(f"{_WHO}: mean={mean} and sd={sd} are no norm; the sd must be positive and both finite")
        return _Norm(float(mean), float(sd), None)
    if mean is not None or sd is not None:
        raise DataError(f"{_WHO}: the norm is given twice, by mean= or sd= and by reference=; leave one out")
    if (reference.method, reference.unit) != (scores.method, scores.unit):
        raise DataError(
            f"{_WHO}: the reference holds {reference.method} in {reference.unit}, the scores {scores.method} in "
            f"{scores.unit}; their spreads differ: score both the same way"
        )
    values = reference.frame["estimate"].to_numpy(np.float64)
    group = np.sort(values[np.isfinite(values)])
    spread = float(np.std(group, ddof=1)) if len(group) > 1 else 0.0
    if not spread > 0:
        raise DataError(
            f"{_WHO}: the reference has {counted(len(group), 'measure')} that do not vary; a norm needs at least two "
            "that differ"
        )
    notes: list[str] = []
    if lost := len(values) - len(group):
        notes.append(f"the norm leaves out {counted(lost, 'subject')} of its group without a measure")
    if len(group) < _SMALL:
        notes.append(f"the norm rests on {counted(len(group), 'subject')}: see norm_se")
    return _Norm(float(np.mean(group)), spread, group, tuple(notes))
