"""Labels of known truths, and likelihoods of latent-truth models written out in NumPy, subject by subject."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import logsumexp

import psymetric as ps

JUDGES, CATEGORIES = 5, 3


def label_frame(
    n_subjects: int = 60, *, n_categories: int = CATEGORIES, seed: int = 0, kept: float = 0.9
) -> pd.DataFrame:
    """Labels by judges of accuracies from .55 to .9, some missing; judges 0 and 1 are a family, 2 and 3 too."""
    rng = np.random.default_rng(seed)
    share = np.arange(n_categories, 0, -1) / np.arange(n_categories + 1).sum()
    truth = rng.choice(n_categories, n_subjects, p=share)
    right = rng.random((n_subjects, JUDGES)) < np.linspace(0.55, 0.9, JUDGES)
    wrong = (truth[:, None] + rng.integers(1, n_categories, right.shape)) % n_categories
    subject, judge = np.nonzero(rng.random(right.shape) < kept)
    label = np.where(right, truth[:, None], wrong)[subject, judge]
    return pd.DataFrame({"subject": subject, "judge": judge, "family": judge // 2, "label": label})


def label_table(frame: pd.DataFrame) -> ps.ResponseTable:
    facets = tuple(name for name in ("judge", "family") if name in frame)
    return ps.ResponseTable.from_frame(frame, response="label", subject="subject", facets=facets)


def log_likelihood(frame: pd.DataFrame, prevalence: np.ndarray, label: Callable[[int, int], np.ndarray]) -> float:
    """Of labels that are independent given the truth; `label(judge, category)` is P(label | truth), shape (truths,)."""
    total = 0.0
    for _, rows in frame.groupby("subject"):
        joint = np.log(prevalence)
        for judge, category in zip(rows["judge"], rows["label"], strict=True):
            joint = joint + np.log(label(judge, category))
        total += logsumexp(joint)
    return float(total)


def truth_log_likelihood(model: object, frame: pd.DataFrame, params: dict[str, np.ndarray]) -> float:
    """The package's log-likelihood at given parameters."""
    import jax

    from psymetric.core.precision import double_precision
    from psymetric.estimation.truth import truth_problem

    with double_precision():
        sums = truth_problem(model, label_table(frame), prior=False).sums
        return float(sums.log_likelihood({name: jax.device_put(value) for name, value in params.items()}))
