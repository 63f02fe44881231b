"""Labels for simulation-based calibration: truths from the documented priors and likelihood in NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from zlib import crc32

import jax
import numpy as np
import pandas as pd
import pytest
from calibration_study import LOG_LIKELIHOOD, Ranks, _spread
from scipy.special import logsumexp

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation import truth


@dataclass(frozen=True)
class LabelDesign:
    """A complete design of judges and subjects; the first `n_gold` subjects have gold labels, groups alternate."""

    model: ps.DawidSkene
    n_subjects: int = 30
    n_judges: int = 4
    n_categories: int = 2
    n_gold: int = 0
    n: int = 300


DESIGNS = {
    "Dawid-Skene": LabelDesign(ps.DawidSkene(prior_labels=10.0, prior_accuracy=0.8)),
    "Dawid-Skene, gold": LabelDesign(ps.DawidSkene(gold="gold"), n_judges=2, n_categories=3, n_gold=15),
    "Dawid-Skene, groups": LabelDesign(ps.DawidSkene(groups="group", prior_labels=10.0, prior_accuracy=0.8)),
}


@partial(jax.tree_util.register_dataclass, data_fields=["weights"], meta_fields=[])
@dataclass(frozen=True)
class _Dense:
    """Sums of rows as a dense product: its shape is the same for all data sets, so that the sampler compiles once."""

    weights: jax.Array

    @classmethod
    def build(cls, matrix: Any) -> _Dense:
        return cls(jax.device_put(matrix.toarray()))

    @property
    def total(self) -> float:
        return float(np.asarray(self.weights).sum())

    def __call__(self, table: jax.Array) -> jax.Array:
        return self.weights @ table


def simulate(design: LabelDesign, seed: int) -> tuple[ps.ResponseTable, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A table, the parameters behind it, and its labels: codes of subjects, judges, groups and what was said."""
    rng = np.random.default_rng([seed, crc32(repr(design).encode())])
    k, model = design.n_categories, design.model
    group = np.arange(design.n_subjects) % 2 if model.groups else np.zeros(design.n_subjects, int)
    share = rng.dirichlet(np.full(k, model.prior_subjects / k), int(group.max()) + 1)
    right, wrong = model.prior_accuracy, (1 - model.prior_accuracy) / (k - 1)
    counts = [np.where(np.arange(k) == m, right, wrong) * model.prior_labels for m in range(k)]
    matrices = np.stack([[rng.dirichlet(row) for row in counts] for _ in range(design.n_judges)])
    true = np.array([rng.choice(k, p=share[g]) for g in group])
    subject, judge = (axis.ravel() for axis in np.mgrid[: design.n_subjects, : design.n_judges])
    said = np.array([rng.choice(k, p=matrices[j, true[s]]) for s, j in zip(subject, judge, strict=True)])
    frame = pd.DataFrame({"subject": subject, "judge": [f"j{code}" for code in judge], "label": said})
    gold = pd.DataFrame({"subject": np.arange(design.n_gold), "judge": "gold", "label": true[: design.n_gold]})
    frame = pd.concat([frame, gold], ignore_index=True)
    frame["group"] = group[frame["subject"]]
    table = ps.ResponseTable.from_frame(
        frame, response="label", subject="subject", facets=("judge", "group"), categories=tuple(range(k))
    )
    labels = {"subject": subject, "judge": judge, "said": said, "group": group, "gold": true[: design.n_gold]}
    return table, {"prevalence": share if model.groups else share[0], "confusion": matrices}, labels


def log_likelihood(values: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> float:
    """Of the labels, subject by subject."""
    share = np.atleast_2d(values["prevalence"])
    with np.errstate(divide="ignore"):
        joint = np.log(share)[labels["group"]]
        np.add.at(joint, labels["subject"], np.log(values["confusion"])[labels["judge"], :, labels["said"]])
    of_gold = joint[np.arange(len(labels["gold"])), labels["gold"]].sum()
    return float(of_gold + logsumexp(joint[len(labels["gold"]) :], axis=1).sum())


def replicate(design: LabelDesign, engine: ps.NUTS, seeds: Iterable[int]) -> Ranks:
    """Simulate, fit and rank."""
    ranks = Ranks()
    with pytest.MonkeyPatch.context() as patch, double_precision():
        patch.setattr(truth, "GatherSum", _Dense)
        patch.setattr(truth, "_SOME", 0.0)  # no patterns, whose number is the data's
        for seed in seeds:
            table, values, labels = simulate(design, seed)
            rng = np.random.default_rng([seed, 1, crc32(repr(design).encode())])
            own = replace(engine, seed=int(rng.integers(2**31)))
            fit = ps.fit(design.model, table, engine=own, throw=False)
            ranks.add(fit, values, rng)
            kept = {name: _spread(fit.draws[name].reshape(-1, *value.shape)) for name, value in values.items()}
            found = [
                log_likelihood({name: kept[name][k] for name in kept}, labels) for k in range(len(kept["confusion"]))
            ]
            ranks._count(LOG_LIKELIHOOD, np.array(found), log_likelihood(values, labels))
    return ranks
