"""Drift: which common levels moved between fits, once the fits are on one scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import iqr

from psymetric.data.coding import Label
from psymetric.data.messages import listing
from psymetric.diagnostics.linking import Link, LinkMethod, link
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import FitSet

__all__ = ["drift", "robust_z"]

Array = NDArray[np.float64]

_WHO = "drift"
_NORMAL_IQR = 0.74
"""A normal distribution's sd over its interquartile range, to the two digits of the source."""
_LEAST = 3


def drift(
    fits: FitSet | Mapping[Label, Fit],
    facet: str,
    *,
    method: LinkMethod = "stocking_lord",
    critical: float = 1.645,
) -> pd.DataFrame:
    """How far each common level moved from the first fit to each later one, after linking.

    Every later fit is linked to the first through all their common levels, and each level's change gets a robust z: its
    distance from the median change in units of 0.74 times the interquartile range, which a few movers hardly touch.
    Levels beyond `critical` are flagged, and the fit is linked once more through the others, so that changes are read
    on a scale that the movers did not set. `critical` is the source's; of levels that did not move one in ten passes
    it.

    Args:
        fits: Fits by label (an occasion, a version of a judge), first the one that the others are compared with.
        facet: Whose levels may drift.
        method: How to link, as in `link`.
        critical: Robust z beyond which a level is flagged, positive.

    Returns:
        One row per later fit and common level: fit, level, reference (its location in the first fit), linked (in the
        later fit, on the first one's scale), change (linked − reference; positive is more difficult or more severe
        now), se (logits, delta method, with the error of the link), robust_z, flag, note.

    Raises:
        DataError: Fewer than two fits or three common levels, a model without locations, or what `link` raises.

    Source: Huynh & Meyer (2010), Practical Assessment, Research & Evaluation 15 (2).
    """
    pairs = dict(fits.fits if isinstance(fits, FitSet) else fits)
    if len(pairs) < 2:
        raise DataError(f"{_WHO}: {len(pairs)} fit given, {listing(pairs)}; drift is between two or more")
    if not critical > 0:
        raise DataError(f"{_WHO}: critical={critical} must be positive, such as 1.645")
    (first, reference), *later = pairs.items()
    frames = [
        _between(fit, reference, facet, method, critical, names=(label, first)).assign(fit=label)
        for label, fit in later
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame[["fit", *(name for name in frame if name != "fit")]]


def robust_z(change: Array) -> Array:
    """Distances from the median in units of 0.74 interquartile ranges; NaN where more than half do not differ.

    Source: Huynh & Meyer (2010), eq. 1.
    """
    spread = _NORMAL_IQR * float(iqr(change))
    away = change - np.median(change)
    return away / spread if spread > 1e-12 else np.where(np.abs(away) <= 1e-9, 0.0, np.nan)


def _between(
    fit: Fit, reference: Fit, facet: str, method: LinkMethod, critical: float, *, names: tuple[Label, Label]
) -> pd.DataFrame:
    try:
        every = link(fit, reference, facet=facet, method=method)
    except DataError as error:
        raise DataError(f"{_WHO}: {names[0]!r} to {names[1]!r}: {error}") from error
    if facet not in fit.parameters:
        raise DataError(f"{_WHO}: {type(fit.model).__name__} has no location for each {facet}, which could drift")
    common = _common(every)
    if len(common) < _LEAST:
        raise DataError(
            f"{_WHO}: {names[0]!r} and {names[1]!r} have {len(common)} levels of {facet!r} in common, "
            f"{listing(common['level'])}; it takes {_LEAST} to say which of them moved"
        )
    z = robust_z(-common["difference"].to_numpy(np.float64))
    flag = np.abs(z) > critical
    stay = common["level"][~flag].tolist()
    again = len(stay) >= 2 and flag.any()
    final = _common(link(fit, reference, facet=facet, method=method, levels=stay)) if again else common
    return pd.DataFrame(
        {
            "level": final["level"],
            "reference": final["target"],
            "linked": final["linked"],
            "change": -final["difference"],
            "se": final["difference_se"],
            "robust_z": z,
            "flag": flag,
            "note": np.where(np.isnan(z), "most levels moved alike: no spread to judge this change by", ""),
        }
    )


def _common(found: Link) -> pd.DataFrame:
    frame = found.frame
    return frame[frame["target"].notna()].reset_index(drop=True) if "target" in frame else frame.iloc[:0]
