"""Coverage of estimates that are calibrated to labels, in cases where peers and the judge alone fall far short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from recovery_study import LEVEL, SIGNIFICANCE

import psymetric as ps
from psymetric.calibration.misclassification import prevalence_limits

RUNS, SHORT, PEER_RUNS, PEER_DRAWS = 4000, 600, 400, 400
BINARY = f"""How often intervals of {LEVEL:g} hold the true prevalence θ, over {RUNS:,} simulated data sets of m
labelled rows and n judged ones. *Labelled*: the share of positives among the labelled rows, θ itself or one that was
chosen. *judgy* is the percentile bootstrap of judgy 0.1.0, written out again here ({PEER_RUNS} data sets, {PEER_DRAWS}
draws): it holds the share of positive verdicts fixed, and so forgets that n is finite. The rule for `rogan_gladen`, but
for judges close to a coin (the last rows of two categories): within .93 to .97. Of three categories the mean of the
three, over {SHORT} data sets, within that or {SIGNIFICANCE} binomial standard errors. Of a judge that is hardly better
than a coin the interval is nearly all of [0, 1]."""
CALLS = f"""How often intervals of {LEVEL:g} from `calibrated_estimate` hold the truth, over {SHORT} simulated data sets
each, beside those of the judge alone and of people alone. *Width*: the mean width of both together beside that of
people alone. *Advised*: the mean standard error with as many labels as `more_labels` says would halve it, as a share
of that before. *Paired*: two systems answer each prompt, and `cluster=` names it. *Chosen*: labels by `next_labels`
from the judge's probabilities. The rule: coverage at least {LEVEL:g} less {SIGNIFICANCE} binomial standard errors;
advice within .47 to .53, as it is itself an estimate from the same labels. Where few labels leave errors of the judge
unseen, intervals are wider than {LEVEL:g} needs."""


def band(runs: int) -> float:
    return SIGNIFICANCE * float(np.sqrt(LEVEL * (1 - LEVEL) / runs))


@dataclass(frozen=True)
class Binary:
    """m labelled rows, of which a share is positive, and n judged ones."""

    theta: float
    tpr: float
    tnr: float
    m: int
    n: int
    labelled: float

    def draw(self, rng: np.random.Generator, runs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labelled rows judged right and in all, negative and positive, and positive verdicts."""
        positive = np.clip(rng.binomial(self.m, self.labelled, runs), 1, self.m - 1)
        of = np.stack([self.m - positive, positive], axis=1)
        right = np.stack([rng.binomial(of[:, 0], self.tnr), rng.binomial(of[:, 1], self.tpr)], axis=1)
        chance = self.theta * self.tpr + (1 - self.theta) * (1 - self.tnr)
        return right, of, rng.binomial(self.n, chance, runs)


def judgy(right: np.ndarray, of: np.ndarray, positive: int, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """Its interval: the labelled rows drawn again, the verdicts held fixed; draws of no better than a coin dropped."""
    cells = np.array([right[0], of[0] - right[0], of[1] - right[1], right[1]]) / of.sum()
    drawn = rng.multinomial(int(of.sum()), cells, PEER_DRAWS)
    with np.errstate(invalid="ignore"):
        tnr, tpr = drawn[:, 0] / drawn[:, :2].sum(axis=1), drawn[:, 3] / drawn[:, 2:].sum(axis=1)
    kept = tnr + tpr > 1
    theta = np.clip((positive / n + tnr[kept] - 1) / (tnr[kept] + tpr[kept] - 1), 0, 1)
    return float(np.quantile(theta, (1 - LEVEL) / 2)), float(np.quantile(theta, (1 + LEVEL) / 2))


def binary_cases() -> list[Binary]:
    cases = [Binary(0.8, 0.9, 0.8, 200, n, share) for n in (50, 100, 300, 2000) for share in (0.8, 0.5)]
    cases += [Binary(0.8, 0.95, 0.95, 500, 100, share) for share in (0.8, 0.5)]
    cases += [Binary(0.05, 0.9, 0.9, 200, 2000, 0.5), Binary(0.97, 0.9, 0.8, 200, 300, 0.5)]
    return [*cases, Binary(0.3, 0.7, 0.6, 200, 300, 0.5), Binary(0.3, 0.55, 0.5, 200, 300, 0.5)]


def held(theta: float, ends: np.ndarray) -> float:
    return float(np.mean((ends[:, 0] <= theta) & (theta <= ends[:, 1])))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_coverage_of_rogan_gladen(record_validation):
    table, checked = [], []
    for seed, case in enumerate(binary_cases()):
        rng = np.random.default_rng(seed)
        right, of, positive = case.draw(rng, RUNS)
        ends, peer = np.zeros((RUNS, 2)), np.zeros((PEER_RUNS, 2))
        for run in range(RUNS):
            ends[run] = prevalence_limits(right[run, ::-1], of[run, ::-1], int(positive[run]), case.n, LEVEL)
            if run < PEER_RUNS:
                peer[run] = judgy(right[run], of[run], int(positive[run]), case.n, rng)
        found, width = held(case.theta, ends), float(np.mean(ends[:, 1] - ends[:, 0]))
        table.append(
            {
                "categories": 2,
                "θ": case.theta,
                "TPR": case.tpr,
                "TNR": case.tnr,
                "m": case.m,
                "n": case.n,
                "labelled": case.labelled,
                "rogan_gladen": f"{found:.3f}",
                "width": f"{width:.3f}",
                "judgy": f"{held(case.theta, peer):.3f}",
            }
        )
        if case.tpr + case.tnr > 1.4:
            checked.append(found)
    assert max(abs(np.array(checked) - LEVEL)) < 0.02
    for seed, n in enumerate((50, 300, 2000)):
        found, width = _three(np.random.default_rng(seed), n)
        table.append(
            {
                "categories": 3,
                "θ": ".2 .5 .3",
                "TPR": ".8 .8 .7",
                "TNR": "",
                "m": 200,
                "n": n,
                "labelled": "θ",
                "rogan_gladen": f"{found:.3f}",
                "width": f"{width:.3f}",
                "judgy": "",
            }
        )
        assert abs(found - LEVEL) < max(band(SHORT), 0.02)
    record_validation("Coverage of Rogan-Gladen", BINARY, table)


def _three(rng: np.random.Generator, n: int) -> tuple[float, float]:
    """Mean coverage and width over three categories."""
    chance = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]])
    truth = np.array([0.2, 0.5, 0.3])
    hit, width = np.zeros((SHORT, 3)), np.zeros((SHORT, 3))
    for run in range(SHORT):
        label, other = rng.choice(3, 200, p=truth), rng.choice(3, n, p=truth)
        verdict, judged = (
            (rng.random((len(part), 1)) > chance[part].cumsum(axis=1)).sum(axis=1) for part in (label, other)
        )
        frame = ps.rogan_gladen(label, verdict, judged, draws=1000, seed=run).frame
        lower, upper = frame["lower"].to_numpy(), frame["upper"].to_numpy()
        hit[run], width[run] = (lower <= truth) & (truth <= upper), upper - lower
    return float(hit.mean()), float(width.mean())


World = Callable[[np.random.Generator, int], tuple[pd.DataFrame, float]]


def passes(theta: float, tpr: float, tnr: float, total: int = 3000) -> World:
    """A share of passes, judged with errors."""

    def draw(rng: np.random.Generator, labels: int) -> tuple[pd.DataFrame, float]:
        truth = (rng.random(total) < theta).astype(float)
        judge = np.where(truth == 1, rng.random(total) < tpr, rng.random(total) > tnr).astype(float)
        return pd.DataFrame({"judge": judge, "human": np.where(np.arange(total) < labels, truth, np.nan)}), theta

    return draw


def ratings(rng: np.random.Generator, labels: int) -> tuple[pd.DataFrame, float]:
    """Ratings from 1 to 5, a judge that is too kind and squeezes the scale."""
    chance = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    truth = rng.choice(5, 3000, p=chance) + 1.0
    judge = np.clip(np.round(2 + 0.6 * truth + rng.normal(0, 0.7, 3000)), 1, 5)
    human = np.where(np.arange(3000) < labels, truth, np.nan)
    return pd.DataFrame({"judge": judge, "human": human}), float(chance @ np.arange(1, 6))


def pairs(rng: np.random.Generator, labels: int) -> tuple[pd.DataFrame, float]:
    """Two systems on each prompt, ease shared, and a judge that favours one of them; whole prompts are labelled."""
    prompts = 1500
    ease = rng.normal(size=(prompts, 1))
    quality = ease + np.array([0.3, 0.0]) + rng.normal(0, 0.8, (prompts, 2))
    judge = quality + np.array([0.3, 0.0]) + 0.4 * ease + rng.normal(0, 0.6, (prompts, 2))
    human = np.where(np.arange(prompts)[:, None] < labels // 2, quality, np.nan)
    columns = {"system": np.tile(["a", "b"], prompts), "prompt": np.repeat(np.arange(prompts), 2)}
    return pd.DataFrame(columns | {"judge": judge.ravel(), "human": human.ravel()}), 0.3


def chosen(rng: np.random.Generator, labels: int) -> tuple[pd.DataFrame, float]:
    """A judge's probabilities, a share of labels by `next_labels`."""
    judge = rng.beta(0.35, 0.2, 3000)
    truth = (rng.random(3000) < judge).astype(float)
    frame = pd.DataFrame({"judge": judge})
    plan = ps.next_labels(frame, n=labels, seed=int(rng.integers(2**31)))
    return frame.assign(human=np.where(plan["chosen"], truth, np.nan), p=plan["probability"]), 0.35 / 0.55


PAIRED = {"estimand": "difference", "system": "system", "cluster": "prompt"}
CASES: list[tuple[str, World, dict[str, str], int]] = [
    ("passes, θ .8, TPR .9, TNR .8", passes(0.8, 0.9, 0.8), {}, 50),
    ("passes, θ .8, TPR .9, TNR .8", passes(0.8, 0.9, 0.8), {}, 200),
    ("the same, Rogan-Gladen", passes(0.8, 0.9, 0.8), {"method": "rogan_gladen"}, 200),
    ("passes, θ .97, TPR .98, TNR .7", passes(0.97, 0.98, 0.7), {}, 100),
    ("passes, θ .6, a judge that errs once in 100", passes(0.6, 0.99, 0.99), {}, 100),
    ("ratings 1 to 5", ratings, {}, 20),
    ("ratings 1 to 5", ratings, {}, 200),
    ("difference, paired", pairs, PAIRED, 200),
    ("passes, chosen labels", chosen, {"probability": "p"}, 200),
]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_coverage_of_calibrated_estimates(record_validation):
    table, failed = [], []
    for seed, (name, world, options, labels) in enumerate(CASES):
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(SHORT):
            frame, truth = world(rng, labels)
            found.append(ps.calibrated_estimate(frame, **options).frame.iloc[0])
        rows_found = pd.DataFrame(found)
        kinds = {
            "both": ("lower", "upper"),
            "judge": ("judge_lower", "judge_upper"),
            "people": ("people_lower", "people_upper"),
        }
        cover = {kind: held(truth, rows_found[list(ends)].to_numpy(float)) for kind, ends in kinds.items()}
        widths = {kind: float(np.mean(rows_found[high] - rows_found[low])) for kind, (low, high) in kinds.items()}
        advised = ""
        more = rows_found["more_labels"].astype(float)
        if np.isfinite(more).mean() > 0.95 and labels >= 200:
            n = int(labels + more[np.isfinite(more)].mean())
            after = [ps.calibrated_estimate(world(rng, n)[0], **options).frame["se"][0] for _ in range(SHORT // 4)]
            share = float(np.mean(after) / rows_found["se"].mean())
            advised = f"{n:,} labels: {share:.3f}"
            if not 0.47 < share < 0.53:
                failed.append((name, share))
        table.append(
            {
                "case": name,
                "labels": labels,
                "both": f"{cover['both']:.3f}",
                "judge alone": f"{cover['judge']:.3f}",
                "people alone": f"{cover['people']:.3f}",
                "width": f"{widths['both'] / widths['people']:.2f}",
                "advised": advised,
            }
        )
        if cover["both"] < LEVEL - band(SHORT):
            failed.append((name, cover["both"]))
    record_validation("Coverage of calibrated estimates", CALLS, table)
    assert not failed
