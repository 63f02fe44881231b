"""Judges of two known kinds, their votes, and the likelihood of a mixture written out in NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd

import psymetric as ps

ITEMS = tuple("abcdef")
# Columns: the larger class, which is sharp and seldom ties, and one that sees the items in another order.
WORTH = np.array([[1.2, 0.6, 0.2, -0.3, -0.6, -1.1], [-0.8, 0.9, -0.4, 1.0, -0.9, 0.2]]).T
POSITION, TIE, SHARE = np.array([0.4, 0.0]), np.array([-1.0, 0.0]), np.array([0.6, 0.4])
WITHIN = ps.BradleyTerry(ties="davidson", position=True)
MODEL = ps.JudgeMixture(WITHIN)
OUTCOMES = ("left", "right", "tie")


def log_probs(worth, position, tie, left, right) -> np.ndarray:
    """Davidson's rule with a position effect, shape (rows, 3)."""
    gap = (worth[left] - worth[right]) / 2
    logits = np.stack([gap + position, -gap, np.full(len(gap), tie)], axis=1)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def draw(n_judges: int, n_each: int, *, seed: int, share: np.ndarray = SHARE) -> tuple[pd.DataFrame, np.ndarray]:
    """Votes on pairs that depend on the sizes alone, and the class of every judge, 0 or 1."""
    design, rng = np.random.default_rng(0), np.random.default_rng(seed)
    judge = np.repeat(np.arange(n_judges), n_each)
    left = design.integers(0, len(ITEMS), len(judge))
    right = (left + design.integers(1, len(ITEMS), len(judge))) % len(ITEMS)
    kind = rng.choice(2, n_judges, p=share)
    outcome = np.empty(len(judge), int)
    for k in range(2):
        own = kind[judge] == k
        chances = np.exp(log_probs(WORTH[:, k], POSITION[k], TIE[k], left[own], right[own]))
        outcome[own] = (rng.random((own.sum(), 1)) > chances.cumsum(axis=1)).sum(axis=1)
    frame = pd.DataFrame(
        {
            "left": np.array(ITEMS)[left],
            "right": np.array(ITEMS)[right],
            "judge": [f"j{code:02}" for code in judge],
            "winner": np.array(OUTCOMES)[outcome],
        }
    )
    return frame, kind


def as_table(frame: pd.DataFrame) -> ps.PairTable:
    """A row for each outcome that a comparison could have had, of weight 1 for what it had and else 0.

    Tables of one design have one shape, whatever came of it, and share the compiled programs.
    """
    rows = frame.loc[frame.index.repeat(len(OUTCOMES))].assign(outcome=np.tile(OUTCOMES, len(frame)))
    rows = rows.assign(w=(rows["winner"] == rows["outcome"]).astype(float))
    return ps.PairTable.from_frame(rows, left="left", right="right", outcome="outcome", judge="judge", weight="w")


def plain_table(frame: pd.DataFrame, facets: tuple[str, ...] = ()) -> ps.PairTable:
    """A row for each comparison."""
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner", judge="judge", facets=facets)


def judge_log_likelihoods(table: ps.PairTable, worth, position, tie) -> np.ndarray:
    """Of every judge's comparisons under each class, shape (judges, classes), a judge and a class at a time."""
    n_judges = len(table.levels["judge"])
    found = np.zeros((n_judges, worth.shape[1]))
    for k in range(worth.shape[1]):
        rows = log_probs(worth[:, k], position[k], tie[k], table.codes["left"], table.codes["right"])
        chosen = rows[np.arange(len(rows)), table.response] * table.weight
        for judge in range(n_judges):
            found[judge, k] = chosen[table.codes["judge"] == judge].sum()
    return found


def log_likelihood(table: ps.PairTable, worth, position, tie, share) -> float:
    """Of the table, the classes summed out judge by judge."""
    return float(np.log(np.exp(judge_log_likelihoods(table, worth, position, tie)) @ share).sum())
