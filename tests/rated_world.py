"""A small rated world with known parameters, and its likelihood written out a second time, naively."""

from __future__ import annotations

import numpy as np
import pandas as pd

import psymetric as ps

SEVERITY = {"ann": -0.6, "bob": 0.1, "cat": 0.5}
DIFFICULTY = {"i1": -0.5, "i2": 0.0, "i3": 0.5}
STEPS = np.array([-1.0, 0.2, 0.8])


def naive_probabilities(theta: float, location: float, steps: np.ndarray) -> np.ndarray:
    """Category probabilities of the rating scale model by its definition, shape (K,)."""
    ratio = [1.0]
    for step in steps:
        ratio.append(ratio[-1] * np.exp(theta - location - step))
    return np.array(ratio) / np.sum(ratio)


def rated_frame(*, subjects: int = 40, seed: int = 3, bias: float = 0.0) -> pd.DataFrame:
    """Every judge rates every item of four in five subjects; "top" and "bottom" have extreme scores.

    Args:
        subjects: How many besides the two extreme ones.
        seed: Seed.
        bias: Added to the severity of "bob" on "i1".
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(subjects):
        theta = rng.normal(0.3, 1.2)
        for judge, severity in SEVERITY.items():
            if rng.random() < 0.2:
                continue
            for item, difficulty in DIFFICULTY.items():
                extra = bias if (judge, item) == ("bob", "i1") else 0.0
                probability = naive_probabilities(theta, severity + difficulty + extra, STEPS)
                rows.append((f"s{number}", judge, item, int(rng.choice(4, p=probability)) + 1))
    for subject, rating in (("top", 4), ("bottom", 1)):
        rows += [(subject, judge, item, rating) for judge in SEVERITY for item in DIFFICULTY]
    return pd.DataFrame(rows, columns=["text", "judge", "item", "stars"])


def rated_table(frame: pd.DataFrame, **options: object) -> ps.ResponseTable:
    """The frame as a table."""
    return ps.ResponseTable.from_frame(
        frame, response="stars", subject="text", item="item", facets=("judge",), categories=(1, 2, 3, 4), **options
    )


def naive_rows(fit: ps.Fit, table: ps.ResponseTable, subject: str) -> list[tuple[float, float, int]]:
    """Location, weight and category of each response of a subject, from the fit's labelled estimates."""
    judge, item = (dict(fit.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("judge", "item"))
    rows = table.to_frame().query("subject == @subject").itertuples()
    return [(judge[row.judge] + item[row.item], row.weight, fit.categories.index(row.response)) for row in rows]


def naive_steps(fit: ps.Fit) -> np.ndarray:
    """The fit's common steps."""
    return fit.estimates("step")["estimate"].to_numpy()


def naive_log_likelihood(fit: ps.Fit, table: ps.ResponseTable, subject: str, theta: float) -> float:
    """Weighted log-likelihood of one subject's responses, row by row."""
    return log_likelihood_of(naive_rows(fit, table, subject), naive_steps(fit), theta)


def log_likelihood_of(rows: list[tuple[float, float, int]], steps: np.ndarray, theta: float) -> float:
    """Weighted log-likelihood of rows (location, weight, category)."""
    return sum(weight * np.log(naive_probabilities(theta, at, steps)[category]) for at, weight, category in rows)


def naive_information(fit: ps.Fit, table: ps.ResponseTable, subject: str, theta: float) -> float:
    """Sum of the category variances of one subject's responses."""
    total, steps = 0.0, naive_steps(fit)
    for at, weight, _ in naive_rows(fit, table, subject):
        probability = naive_probabilities(theta, at, steps)
        score = np.arange(len(probability))
        total += weight * (probability @ score**2 - (probability @ score) ** 2)
    return total


def naive_posterior(fit: ps.Fit, table: ps.ResponseTable, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Abilities on a fine grid and their posterior probabilities under the fit's population."""
    mean, sd = float(fit.parameters["population_mean"]), float(fit.parameters["population_sd"])
    grid, rows, steps = mean + sd * np.linspace(-8, 8, 801), naive_rows(fit, table, subject), naive_steps(fit)
    log_density = np.array([log_likelihood_of(rows, steps, theta) for theta in grid]) - 0.5 * ((grid - mean) / sd) ** 2
    weight = np.exp(log_density - log_density.max())
    return grid, weight / weight.sum()


def labelled_estimates(fit: ps.Fit, *facets: str) -> dict[str, dict[str, float]]:
    """Estimates by facet and label."""
    frames = {facet: fit.estimates(facet) for facet in facets}
    return {facet: dict(zip(frame["level"], frame["estimate"], strict=True)) for facet, frame in frames.items()}


def extreme_subjects(fit: ps.Fit) -> set[str]:
    """Subjects that a JointML fit set aside."""
    return {label for label, side in zip(fit.levels["subject"], fit.extremes["subject"], strict=True) if side}
