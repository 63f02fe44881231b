"""Prevalence behind the verdicts of a judge whose errors are known from labels (Rogan & Gladen)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from psymetric.calibration.misclassification import confusion, drawn_prevalence, prevalence_limits, solved
from psymetric.data.coding import Label, code_labels
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError, IdentificationError

__all__ = ["Prevalence", "rogan_gladen"]

Array = NDArray[np.float64]

_WHO: Final = "rogan_gladen"
_FEW: Final = 10


@final
@dataclass(frozen=True)
class Prevalence:
    """How frequent each category is in truth.

    Attributes:
        frame: One row per category: `category`, `estimate`, `lower`, `upper`, `judge_alone` (its share of the
            verdicts), `n_labels` of the category, `n_judged` in all.
        chances: Chance of each verdict (columns) given the label (rows), as the labels have it.
        level: Coverage of the intervals, each by itself.
        notes: What to know before using it.
    """

    frame: pd.DataFrame
    chances: pd.DataFrame
    level: float
    notes: tuple[str, ...]


def rogan_gladen(
    label: ArrayLike, verdict: ArrayLike, judged: ArrayLike, *, level: float = 0.95, draws: int = 4_000, seed: int = 0
) -> Prevalence:
    r"""Prevalence of each category among judged things that nobody labelled.

    Of two categories $\hat\theta = (\hat p + \hat t - 1) / (\hat s + \hat t - 1)$ with sensitivity s and specificity t
    among the labelled and the share p of positive verdicts among the judged; of K, the π that solves
    $\pi' C = p$, brought to shares none of which is negative. Assumes that the judge errs in the judged rows as often,
    given the truth, as in the labelled ones. The labelled rows may be of another prevalence, or chosen by their label.

    Intervals carry the sampling error of the labelled and of the judged rows. Of two categories they are what a test
    would not reject (`psymetric.calibration.misclassification.prevalence_limits`), and [0, 1] where the judge cannot
    be told from a useless one; of more, quantiles of posterior draws.

    Args:
        label: What is true of the labelled rows: two or more categories, none missing.
        verdict: What the judge said of the same rows.
        judged: What the judge said of the others.
        level: Coverage, in (0, 1).
        draws: Of the posterior, for three categories and more.
        seed: Of its random numbers.

    Raises:
        DataError: Missing or unknown categories, arrays of different lengths, a category that no label has, no
            coverage.
        IdentificationError: A judge of two categories that is right no more often than a coin (s + t at most 1); of
            more, verdicts that do not tell the categories apart.

    Source: Rogan & Gladen (1978), American Journal of Epidemiology 107, 71-76. A peer that holds p fixed in its
    bootstrap covers .59 where it promises .95.
    """
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    codes, categories = _coded(label, verdict, judged)
    n_categories = len(categories)
    counts = confusion(codes[0], codes[1], n_categories)
    judged_counts = np.bincount(codes[2], minlength=n_categories).astype(np.float64)
    of = counts.sum(axis=1)
    silent = [name for name, n in zip(categories, of, strict=True) if n == 0]
    if silent or n_categories < 2:
        what = f"no label is {listing(silent)}" if silent else f"every label and verdict is {categories[0]!r}"
        raise DataError(
            f"{_WHO}: {what}, so that nothing shows how the judge errs there; label some, or merge categories"
        )
    chance, share = counts / of[:, None], judged_counts / judged_counts.sum()
    notes: list[str] = []
    if n_categories == 2:
        estimate, limits = _binary(counts, judged_counts, level, categories)
        if limits[0].tolist() == [0.0, 1.0]:
            notes.append("The labels cannot tell this judge from a useless one: any prevalence could lie behind it.")
    else:
        raw = solved(chance, share, who=_WHO)
        drawn = drawn_prevalence(counts, judged_counts, draws, np.random.default_rng(seed))
        limits = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0).T
        estimate = np.maximum(raw, 0) / np.maximum(raw, 0).sum()
        if raw.min() < 0:
            notes.append("The verdicts would need a negative share of some category, which is given as 0.")
    few = [name for name, n in zip(categories, of, strict=True) if n < _FEW]
    if few:
        notes.append(f"Fewer than {_FEW} labels are {listing(few)}: little is known of how the judge errs there.")
    frame = pd.DataFrame({"category": pd.Series(list(categories), dtype=object).infer_objects(), "estimate": estimate})
    frame["lower"], frame["upper"] = limits.T
    frame["judge_alone"], frame["n_labels"], frame["n_judged"] = share, of.astype(np.int64), len(codes[2])
    names = pd.Index(list(categories), name="label")
    return Prevalence(frame, pd.DataFrame(chance, names, names.rename("verdict")), level, tuple(notes))


def _binary(counts: Array, judged: Array, level: float, categories: tuple[Label, ...]) -> tuple[Array, Array]:
    """Estimate of both categories, shape (2,), and their limits, shape (2, 2)."""
    of, right = counts.sum(axis=1), np.diag(counts)
    rates = right / of
    youden = float(rates.sum()) - 1
    if youden <= 0:
        raise IdentificationError(
            f"{_WHO}: of the labels {categories[0]!r} the judge repeats {rates[0]:.2f}, of {categories[1]!r} "
            f"{rates[1]:.2f}; together at most 1, as by tossing coins, so that its verdicts say nothing of prevalence. "
            "If its two words are exchanged, exchange them back"
        )
    share = float(np.clip((judged[1] / judged.sum() + rates[0] - 1) / youden, 0, 1))
    low, high = prevalence_limits(right[::-1], of[::-1], float(judged[1]), float(judged.sum()), level)
    return np.array([1 - share, share]), np.array([[1 - high, 1 - low], [low, high]])


def _coded(*columns: ArrayLike) -> tuple[list[NDArray[np.int64]], tuple[Label, ...]]:
    """Codes of label, verdict and judged over one set of categories."""
    names = ("label", "verdict", "judged")
    parts = [pd.Series(np.asarray(column).tolist(), dtype=object) for column in columns]
    for name, part in zip(names, parts, strict=True):
        if part.empty:
            raise DataError(f"{_WHO}: {name} is empty; give at least one")
    if len(parts[0]) != len(parts[1]):
        raise DataError(
            f"{_WHO}: {counted(len(parts[0]), 'label')} and {counted(len(parts[1]), 'verdict')}; label and verdict "
            "are of the same rows, in one order"
        )
    for name, part in zip(names, parts, strict=True):
        code_labels(part, who=_WHO, column=name)
    codes, categories = code_labels(pd.concat(parts, ignore_index=True), who=_WHO, column="label, verdict or judged")
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.split(codes.astype(np.int64), ends), categories
