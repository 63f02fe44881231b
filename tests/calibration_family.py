"""Models of the latent-truth family for simulation-based calibration: priors and likelihoods in NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from calibration_labels import _Dense
from calibration_study import Ranks
from scipy.special import expit, log_softmax, logit
from scipy.stats import norm

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation import shared_states, truth

SUBJECTS, JUDGES = 40, 5
FAMILY = np.array([0, 0, 1, 1, 2])
Values = dict[str, np.ndarray]


def _normal(rng: np.random.Generator, centre: float, sd: float, *shape: int) -> np.ndarray:
    return centre + sd * rng.standard_normal(shape)


def one_coin(model: ps.OneCoin, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    shape = (JUDGES,) if model.accuracy == "common" else (JUDGES, k)
    right = expit(_normal(rng, logit(model.prior_accuracy), model.prior_sd, *shape))
    own = np.broadcast_to(right.reshape(JUDGES, -1, 1), (JUDGES, k, 1))
    return {"accuracy": right}, np.where(np.eye(k, dtype=bool), own, (1 - own) / (k - 1))


def mace(model: ps.MACE, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    knows = expit(_normal(rng, logit(model.prior_competence), model.prior_sd, JUDGES))
    habit = rng.dirichlet(np.full(k, model.prior_labels / k), JUDGES)
    mixed = knows[:, None, None] * np.eye(k) + (1 - knows)[:, None, None] * habit[:, None]
    return {"competence": knows, "habit": habit}, mixed


def matrices(labels: float, accuracy: float, k: int, rng: np.random.Generator, *shape: int) -> np.ndarray:
    counts = labels * np.where(np.eye(k, dtype=bool), accuracy, (1 - accuracy) / (k - 1))
    return np.stack([rng.dirichlet(row, shape or None) for row in counts], axis=len(shape))


def hierarchical(model: ps.HierarchicalDawidSkene, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    typical = matrices(model.prior_labels, model.prior_accuracy, k, rng)
    sd = abs(rng.normal(0, model.prior_sd))
    deviation = sd * rng.standard_normal((JUDGES, k, k))
    deviation -= deviation.mean(axis=2, keepdims=True)
    values = {"typical": typical, "deviation": deviation, "deviation_sd": np.array(sd)}
    return values, np.exp(log_softmax(np.log(typical) + deviation, axis=2))


def ordinal(model: ps.OrdinalProbit, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    severity = _normal(rng, 0, model.severity_prior_sd, JUDGES)
    precision = np.exp(_normal(rng, np.log(2), model.precision_prior_sd, JUDGES))
    criterion = (k - 1) / 2 + severity[:, None] + np.arange(k - 1) - (k - 2) / 2
    at_least = norm.cdf(precision[:, None, None] * (np.arange(k)[:, None] - criterion[:, None, :]))
    edges = np.ones((JUDGES, k, 1)), np.zeros((JUDGES, k, 1))
    shares = -np.diff(np.concatenate([edges[0], at_least, edges[1]], axis=2), axis=2)
    return {"severity": severity, "precision": precision}, shares


def glad(model: ps.GLAD, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    skill = _normal(rng, model.prior_skill, model.prior_sd, JUDGES)
    sd = abs(rng.normal(0, model.difficulty_prior_sd))
    right = expit(skill * np.exp(-sd * rng.standard_normal((SUBJECTS, 1))) - np.log(k - 1))[:, :, None, None]
    values = {"skill": skill, "difficulty_sd": np.array(sd)}
    return values, np.where(np.eye(k, dtype=bool), right, (1 - right) / (k - 1))


def family(model: ps.FamilyDawidSkene, k: int, rng: np.random.Generator) -> tuple[Values, np.ndarray]:
    shared = expit(_normal(rng, logit(model.prior_shared), model.prior_sd, 3))
    shared[2] = 0.0
    confusion = matrices(model.prior_labels, model.prior_accuracy, k, rng, JUDGES)
    wrong = rng.random((SUBJECTS, 3)) < shared
    shift = np.where(wrong, rng.integers(1, k, (SUBJECTS, 3)), 0)[:, FAMILY]
    # Rows by what the truth is: its family's view of it is the truth and the shift.
    seen = (np.arange(k) + shift[:, :, None]) % k
    return {"shared_error": shared, "confusion": confusion}, confusion[np.arange(JUDGES)[:, None], seen]


# Matrices with priors that say more of the judges: under the default one, five judges of forty subjects leave several
# modes (truths under other names), between which a chain of this length seldom goes.
DRAWS = {
    "one-coin": (ps.OneCoin(), 3, one_coin),
    "class-conditional": (ps.OneCoin(accuracy="truth"), 3, one_coin),
    "MACE": (ps.MACE(), 3, mace),
    "hierarchical": (ps.HierarchicalDawidSkene(prior_labels=10.0, prior_accuracy=0.85), 2, hierarchical),
    "ordered probit": (ps.OrdinalProbit(), 4, ordinal),
    "GLAD": (ps.GLAD(), 2, glad),
    "families": (ps.FamilyDawidSkene(prior_labels=10.0, prior_accuracy=0.85), 3, family),
}


def simulate(name: str, seed: int) -> tuple[ps.ResponseTable, Values]:
    """A complete table and the parameters behind it."""
    model, k, draw = DRAWS[name]
    rng = np.random.default_rng([seed, crc32(name.encode())])
    share = rng.dirichlet(np.full(k, model.prior_subjects / k))
    own, label = draw(model, k, rng)
    true = rng.choice(k, SUBJECTS, p=share)
    chances = np.broadcast_to(label, (SUBJECTS, JUDGES, k, k))[np.arange(SUBJECTS), :, true]
    said = (rng.random((SUBJECTS, JUDGES, 1)) > chances.cumsum(axis=2)[..., :-1]).sum(axis=2)
    subject, judge = (axis.ravel() for axis in np.mgrid[:SUBJECTS, :JUDGES])
    frame = pd.DataFrame({"subject": subject, "judge": judge, "family": FAMILY[judge], "label": said.ravel()})
    table = ps.ResponseTable.from_frame(
        frame, response="label", subject="subject", facets=("judge", "family"), categories=tuple(range(k))
    )
    return table, {"prevalence": share, **own}


def replicate(name: str, engine: ps.NUTS, seeds: Iterable[int]) -> Ranks:
    """Simulate, fit and rank."""
    ranks = Ranks()
    with pytest.MonkeyPatch.context() as patch, double_precision():
        patch.setattr(truth, "GatherSum", _Dense)
        patch.setattr(shared_states, "GatherSum", _Dense)
        patch.setattr(truth, "_SOME", 0.0)  # no patterns, whose number is the data's
        for seed in seeds:
            table, values = simulate(name, seed)
            rng = np.random.default_rng([seed, 1, crc32(name.encode())])
            fit = ps.fit(DRAWS[name][0], table, engine=replace(engine, seed=int(rng.integers(2**31))), throw=False)
            ranks.add(fit, values, rng)
    return ranks
