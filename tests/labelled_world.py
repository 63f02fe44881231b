"""Labels by judges of a truth: a published table, small drawn ones, and the likelihood in NumPy, subject by subject."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

import psymetric as ps

# Dawid & Skene (1979), table 1: observers 1 (three times), 2, 3, 4 and 5 on each of 45 patients.
ANAESTHESIA = (
    "1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 "
    "1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 "
    "1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 "
    "2322222 1211111 2222222"
)
OBSERVERS = (1, 1, 1, 2, 3, 4, 5)


def anaesthesia_frame() -> pd.DataFrame:
    rows = [
        (patient, observer, int(label))
        for patient, labels in enumerate(ANAESTHESIA.split(), 1)
        for observer, label in zip(OBSERVERS, labels, strict=True)
    ]
    return pd.DataFrame(rows, columns=["patient", "observer", "label"])


def table_of(frame: pd.DataFrame, *further: str, **options: object) -> ps.ResponseTable:
    subject, judge = frame.columns[:2]
    return ps.ResponseTable.from_frame(frame, response="label", subject=subject, facets=(judge, *further), **options)


def anaesthesia() -> ps.ResponseTable:
    return table_of(anaesthesia_frame())


def confusion(accuracies: list[float], n_categories: int) -> np.ndarray:
    """One-coin matrices, shape (judges, truths, categories)."""
    right = np.asarray(accuracies)[:, None, None]
    return np.where(np.eye(n_categories, dtype=bool), right, (1 - right) / (n_categories - 1))


def drawn(
    prevalence: np.ndarray, matrices: np.ndarray, n_subjects: int, *, seed: int, share: float = 1.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Labels of every subject by every judge, or a share of them, and the truths."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prevalence), n_subjects, p=prevalence)
    subject, judge = (axis.ravel() for axis in np.mgrid[:n_subjects, : len(matrices)])
    below = matrices[judge, truth[subject]].cumsum(axis=1)
    label = (rng.random((len(judge), 1)) > below[:, :-1]).sum(axis=1)
    frame = pd.DataFrame(
        {"subject": [f"s{code:04d}" for code in subject], "judge": [f"j{code:03d}" for code in judge], "label": label}
    )
    return frame[rng.random(len(frame)) < share].reset_index(drop=True), truth


def log_likelihood_by_assignment(prevalence: np.ndarray, matrices: np.ndarray, table: ps.ResponseTable) -> float:
    """The sum over all truths that all subjects together may have; for a handful of subjects."""
    n_subjects, total = len(table.levels["subject"]), 0.0
    for truths in product(range(len(prevalence)), repeat=n_subjects):
        of_labels = matrices[table.codes["judge"], np.array(truths)[table.codes["subject"]], table.response]
        total += np.prod(prevalence[list(truths)]) * np.prod(of_labels**table.weight)
    return float(np.log(total))
