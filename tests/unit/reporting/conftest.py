"""Small simulated tables, fitted once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

STEPS = np.array([-1.0, 0.0, 1.0])


@dataclass(frozen=True)
class Simulated:
    """Ratings drawn from a many-facet Rasch model, what they were drawn from, and the fit."""

    table: ps.ResponseTable
    fit: ps.Fit
    truth: pd.DataFrame


def draw(theta: np.ndarray, seed: int) -> np.ndarray:
    """Categories 0–3 at each location."""
    logits = np.cumsum(theta[:, None] - STEPS, axis=1)
    p = np.exp(np.pad(logits, ((0, 0), (1, 0))))
    p /= p.sum(axis=1, keepdims=True)
    return (np.random.default_rng(seed).random(len(theta))[:, None] > p.cumsum(axis=1)).sum(axis=1)


def crossed(subjects: dict[str, float], items: dict[str, float], judges: dict[str, float], seed: int) -> pd.DataFrame:
    """Every judge rates every subject on every item; 2% of the answers are refused."""
    rows = pd.MultiIndex.from_product([subjects, items, judges], names=["text", "criterion", "judge"]).to_frame(
        index=False
    )
    theta = rows["text"].map(subjects) - rows["criterion"].map(items) - rows["judge"].map(judges)
    rows["stars"] = pd.array(1 + draw(theta.to_numpy(float), seed), dtype="Int64")
    lost = np.random.default_rng(seed + 1).random(len(rows)) < 0.02
    rows.loc[lost, "stars"] = pd.NA
    rows["why"] = np.where(lost, "refusal", None)
    return rows


def table_of(rows: pd.DataFrame) -> ps.ResponseTable:
    """The ratings as a table."""
    return ps.ResponseTable.from_frame(
        rows,
        response="stars",
        subject="text",
        item="criterion",
        facets=("judge",),
        categories=(1, 2, 3, 4),
        reason="why",
    )


def truth_of(**facets: dict[str, float]) -> pd.DataFrame:
    """True values as the report takes them."""
    return pd.DataFrame(
        [
            {"facet": facet, "level": level, "true": value}
            for facet, values in facets.items()
            for level, value in values.items()
        ]
    )


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    rng = np.random.default_rng(11)
    subjects = {f"text {k:02d}": float(v) for k, v in enumerate(rng.normal(0.3, 1.2, 30))}
    items = {"warmth": -0.5, "insight": 0.2, "tact": 0.6}
    judges = {"ann": -0.8, "bob": 0.0, "cy": 0.9, "dee": 0.1}
    table = table_of(crossed(subjects, items, judges, 5))
    fit = ps.fit(ps.ManyFacetRasch(), table)
    return Simulated(table, fit, truth_of(subject=subjects, item=items, judge=judges))


@pytest.fixture(scope="session")
def report_of_simulated(simulated: Simulated) -> ps.Report:
    return ps.report(simulated.fit, simulated.table, truth=simulated.truth, title="Thirty texts")


HOSTILE = (
    "<script>document.title='owned'</script>",
    '=HYPERLINK("http://127.0.0.1/")',
    "evil\u202egnp.exe",
    "x" * 10_000,
    "a $\\frac{1}{2}$ & \"quoted\" 'label' </svg><img src=x onerror=alert(1)>",
    "漢字 العربية 🙂\x00\x07",
)


@pytest.fixture(scope="session")
def hostile() -> tuple[ps.Fit, ps.ResponseTable]:
    subjects = dict(zip(HOSTILE, (-1.5, -0.5, 0.0, 0.5, 1.0, 1.6), strict=True))
    judges = {"</title><script>1</script>": -0.5, "-1+1": 0.0, "{{ 7*7 }}": 0.5}
    rows = pd.concat([crossed(subjects, {"@sum": -0.3, "<b>": 0.3}, judges, seed) for seed in range(4)])
    table = table_of(rows)
    return ps.fit(ps.ManyFacetRasch(), table), table


@pytest.fixture(scope="session")
def pairs() -> tuple[ps.Fit, ps.PairTable]:
    rng = np.random.default_rng(3)
    worth = {"alpha": 1.0, "beta": 0.4, "gamma": 0.0, "delta": -0.5, "omega": -0.9}
    names = list(worth)
    rows = []
    for _ in range(600):
        a, b = rng.choice(5, 2, replace=False)
        first, second = np.exp(worth[names[a]] + 0.3), np.exp(worth[names[b]])
        tie = 0.5 * np.exp((worth[names[a]] + worth[names[b]]) / 2)
        outcome = rng.choice(["left", "right", "tie"], p=np.array([first, second, tie]) / (first + second + tie))
        rows.append((names[a], names[b], outcome, f"judge {rng.integers(3)}"))
    frame = pd.DataFrame(rows, columns=["a", "b", "winner", "judge"])
    table = ps.PairTable.from_frame(frame, left="a", right="b", outcome="winner", judge="judge")
    return ps.fit(ps.BradleyTerry(ties="davidson", position=True), table), table
