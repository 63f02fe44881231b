"""Which map serves which question, fitted to all labels and to all but each fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.cumulative_map import CumulativeMap, fit_cumulative
from psymetric.calibration.isotonic_map import IsotonicMap, fit_isotonic
from psymetric.calibration.judged import Judged, check_sums, log_shares, number_columns
from psymetric.calibration.scaling_map import Scaling, ScalingMap, fit_scaling
from psymetric.data.messages import counted, listing, nearest
from psymetric.errors import DataError

__all__ = ["AnyMap", "Labelled", "Method", "Settings", "cross_fit", "fit_map", "map_from_dict", "read_inputs"]

Method = Literal["isotonic", "platt", "temperature", "vector", "dirichlet", "ordinal"]
AnyMap = IsotonicMap | CumulativeMap | ScalingMap
Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Settings:
    """How a map is fitted.

    Attributes:
        method: As in `calibrate`.
        values: What the categories count, shape (categories,).
        n_levels: Levels of the effect; 0 without one.
        prior_sd: As in `calibrate`.
        draws: Bootstrap samples for the standard error of an isotonic map.
        seed: Of the folds and the bootstrap.
    """

    method: Method
    values: Array
    n_levels: int
    prior_sd: float
    draws: int
    seed: int


@final
@dataclass(frozen=True)
class Labelled:
    """Rows with a label.

    Attributes:
        judged: What the judge said. codes: Label, 0…K−1, shape (rows,). group: Codes 0…G−1, shape (rows,).
    """

    judged: Judged
    codes: NDArray[np.int32]
    group: NDArray[np.int32]

    def rows(self, keep: NDArray[np.bool_]) -> Labelled:
        """Some of the rows, groups coded as before."""
        return Labelled(self.judged.rows(keep), self.codes[keep], self.group[keep])


def check_method(method: str, columns: tuple[str, ...], n_categories: int, *, who: str) -> None:
    """Refuse a method that the judge's columns or the labels do not suit.

    Raises:
        DataError: An unknown method, or a number of columns or categories it cannot use.
    """
    known = get_args(Method)
    if method not in known:
        raise DataError(f"{who}: no method {method!r}; {nearest(method, known)}")
    n = len(columns)
    if method in ("isotonic", "platt") and n != 1:
        raise DataError(f"{who}(method={method!r}) maps one column of the judge, got {listing(columns)}; name one.")
    if method == "platt" and n_categories != 2:
        raise DataError(
            f"{who}(method='platt') is for labels of two categories, got {n_categories}; use 'ordinal' for scores, "
            "'temperature', 'vector' or 'dirichlet' for the probabilities of all categories."
        )
    if method in get_args(Scaling) and n != n_categories and not (n == 1 and n_categories == 2):
        raise DataError(
            f"{who}(method={method!r}) needs the judge's probability of each of the {n_categories} categories in their "
            f"order, got {counted(n, 'column')}: {listing(columns)}; name them in judge=, or list in categories= what "
            "the columns stand for."
        )


def read_inputs(frame: pd.DataFrame, method: Method, columns: tuple[str, ...], *, who: str) -> tuple[Array, int]:
    """What the map reads, shape (rows, columns), and how many probabilities were raised to 10⁻⁶.

    Raises:
        DataError: An unknown column, NaN, probabilities outside [0, 1] or that do not sum to one.
    """
    numbers = number_columns(frame, columns, who=who)
    if method in ("isotonic", "ordinal"):
        return numbers, 0
    shares = np.column_stack([1 - numbers[:, 0], numbers[:, 0]]) if len(columns) == 1 else numbers
    check_sums(shares, columns, who=who)
    logs, raised = log_shares(shares)
    return (np.diff(logs, axis=1) if method == "platt" else logs), raised


def fit_map(data: Labelled, settings: Settings, *, draws: int) -> AnyMap:
    """The map of these rows; `draws` of the bootstrap, 0 where no standard error is wanted."""
    judged, codes, group, method = data.judged, data.codes, data.group, settings.method
    if method == "isotonic":
        rng = np.random.default_rng(settings.seed)
        return fit_isotonic(judged, codes, group, values=settings.values, draws=draws, rng=rng)
    if method in ("temperature", "vector", "dirichlet"):
        return fit_scaling(judged, codes, group, scaling=method, prior_sd=settings.prior_sd)
    n_categories, n_levels = len(settings.values), settings.n_levels
    return fit_cumulative(
        judged, codes, group, n_categories=n_categories, n_levels=n_levels, prior_sd=settings.prior_sd
    )


def map_from_dict(method: Method, record: dict[str, object]) -> AnyMap:
    """The map that its `to_dict` wrote."""
    if method == "isotonic":
        return IsotonicMap.from_dict(record)
    return (ScalingMap if method in get_args(Scaling) else CumulativeMap).from_dict(record)


@final
@dataclass(frozen=True)
class CrossFit:
    """Predictions of rows by maps that never saw their group.

    Attributes:
        maps: Of the first division, one per fold.
        fold: Fold of each row in the first division, shape (rows,).
        first: Probabilities under the first division, shape (rows, categories).
        mean: The same averaged over all divisions.
    """

    maps: tuple[AnyMap, ...]
    fold: NDArray[np.int64]
    first: Array
    mean: Array


def cross_fit(data: Labelled, settings: Settings, *, folds: int, repeats: int) -> CrossFit:
    """Fit without each fold of groups and predict it; divisions of the groups at random, as equal as can be."""
    rng = np.random.default_rng(settings.seed)
    n_groups, k = int(data.group.max()) + 1, len(settings.values)
    maps: list[AnyMap] = []
    fold_of_first = np.zeros(len(data.codes), np.int64)
    found = np.zeros((repeats, len(data.codes), k))
    for repeat in range(repeats):
        fold = (rng.permutation(n_groups) % folds)[data.group]
        for held in range(folds):
            out = fold == held
            fitted = fit_map(data.rows(~out), settings, draws=0)
            found[repeat, out] = fitted.probabilities(data.judged.rows(out))
            if not repeat:
                maps.append(fitted)
        if not repeat:
            fold_of_first = fold
    return CrossFit(tuple(maps), fold_of_first, found[0], found.mean(axis=0))
