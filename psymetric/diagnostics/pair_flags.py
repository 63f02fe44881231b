"""Why to look at a judge of comparisons: bounds on size, and tests for all judges together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from scipy.stats import norm

from psymetric.core.precision import double_precision
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.estimation.fit import Fit
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.tie_rules import outcome_log_probs

__all__ = ["judge_flags"]

Array = NDArray[np.float64]

_POINTS = 0.10
"""Shares nearer to what they should be are left alone, however sure the difference."""
_WEAK = 0.5
_LOW, _HIGH, _SURE = 0.5, 1.5, 2.0


def judge_flags(frame: pd.DataFrame, fit: Fit, alpha: float) -> list[str]:
    """Reasons to look at each judge, with their numbers, joined by "; "; the bounds are those of `pair_judges`."""
    modelled = bool(frame["position"].notna().any())
    column = {name: frame[name].to_numpy(np.float64) for name in frame.columns if is_numeric_dtype(frame[name])}
    if modelled:
        share, usual = _against_an_equal(fit, column["position"]), np.full(len(frame), 0.5)
        p = 2 * norm.sf(np.abs(column["position"] / column["position_se"]))
    else:
        share, usual, p = column["first"], column["first_expected"], column["first_p"]
    sways, strays = (adjusted(values) < alpha for values in (p, column["consensus_p"]))
    more = frame.assign(share=share, usual=usual, sways=sways & (np.abs(share - usual) >= _POINTS), strays=strays)
    return ["; ".join(_reasons(row, modelled=modelled)) for row in more.to_dict("records")]


def _reasons(row: dict[Any, Any], *, modelled: bool) -> Iterator[str]:
    if row["sways"]:
        side, against = ("first", "against an equal" if modelled else "of the decided")
        share, usual = (row["share"], row["usual"])
        if share < usual:
            side, share, usual = "second", 1 - share, 1 - usual
        yield f"favours the {side}: it wins {share:.0%} {against}, {usual:.0%} expected"
    if row["strays"] and row["consensus_expected"] - row["consensus"] >= _POINTS:
        yield (
            f"against the order: {row['consensus']:.0%} for the higher worth, {row['consensus_expected']:.0%} expected"
        )
    if row["slope"] < _WEAK and row["slope_upper"] < 1:
        yield f"weak discrimination: slope {row['slope']:.2f} is under {_WEAK:g}"
    if row["swap_strict_upper"] < row["swap_expected"]:
        yield f"reverses: the same answer in both orders {row['swap_strict']:.0%}, {row['swap_expected']:.0%} expected"
    if row["kappa_upper"] < 0:
        yield f"no better than chance: agreement {row['agreement']:.0%}, {row['agreement_chance']:.0%} by chance"
    for name in ("infit", "outfit"):
        value, z = row[name], row[f"{name}_z"]
        if value > _HIGH and z > _SURE:
            yield f"noisy: {name} {value:.2f} exceeds {_HIGH:g}"
            return
        if value < _LOW and z < -_SURE:
            yield f"too regular: {name} {value:.2f} is under {_LOW:g}"
            return


def _against_an_equal(fit: Fit, position: Array) -> Array:
    """Share of decided comparisons that the first shown of two equal items wins, shape (judges,)."""
    model = fit.model
    if not isinstance(model, BradleyTerry):
        return np.full(len(position), np.nan)
    # Judges who tie more and less readily are taken in the middle.
    tie = float(np.mean(fit.parameters["tie"])) if "tie" in fit.parameters else 0.0
    with double_precision():
        gap, at = jax.device_put(np.zeros(len(position))), jax.device_put(position)
        chance = np.exp(np.asarray(outcome_log_probs(gap, at, tie, ties=model.ties, link=model.link)))
    return chance[:, 0] / (chance[:, 0] + chance[:, 1])
