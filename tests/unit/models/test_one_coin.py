"""One-coin and class-conditional models: a likelihood and an EM in NumPy, Dawid-Skene, and another program."""

from __future__ import annotations

import label_likelihoods
import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DesignError

PREVALENCE = np.array([0.5, 0.3, 0.2])
# The EM below and Newton's method both stop far nearer to the maximum than this.
SAME = 1e-5


@pytest.mark.parametrize("accuracy", ["common", "truth"])
def test_likelihood_is_that_written_out(accuracy: str) -> None:
    frame, rng = label_likelihoods.label_frame(), np.random.default_rng(1)
    right = rng.uniform(0.4, 0.9, (label_likelihoods.JUDGES, 1 if accuracy == "common" else 3))

    def label(judge: int, category: int) -> np.ndarray:
        own = np.broadcast_to(right[judge], 3)
        return np.where(np.arange(3) == category, own, (1 - own) / 2)

    params = {"prevalence": PREVALENCE, "accuracy": right.squeeze()}
    found = label_likelihoods.truth_log_likelihood(ps.OneCoin(accuracy=accuracy), frame, params)
    assert found == pytest.approx(label_likelihoods.log_likelihood(frame, PREVALENCE, label), abs=1e-9)


def em(frame, n_categories: int = 3, rounds: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Prevalence and accuracies by plain EM from majority votes (Dawid & Skene, 1979, with one accuracy per judge)."""
    subject, judge, label = (frame[name].to_numpy() for name in ("subject", "judge", "label"))
    votes = np.zeros((subject.max() + 1, n_categories))
    np.add.at(votes, (subject, label), 1)
    truth = votes / votes.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        share = truth.mean(axis=0)
        right = np.bincount(judge, truth[subject, label]) / np.bincount(judge)
        by_label = np.where(
            np.arange(n_categories) == label[:, None], right[judge, None], (1 - right[judge, None]) / (n_categories - 1)
        )
        joint = np.tile(np.log(share), (len(truth), 1))
        np.add.at(joint, subject, np.log(by_label))
        truth = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    return share, right


def test_maximum_likelihood_is_that_of_em() -> None:
    frame = label_likelihoods.label_frame(150, seed=2)
    share, right = em(frame)
    fit = ps.fit(ps.OneCoin(), label_likelihoods.label_table(frame), engine=ps.MarginalML())
    np.testing.assert_allclose(fit.parameters["prevalence"], share, atol=SAME)
    np.testing.assert_allclose(fit.parameters["accuracy"], right, atol=SAME)


@pytest.mark.thorough
def test_two_categories_with_an_accuracy_each_are_dawid_skene() -> None:
    table = label_likelihoods.label_table(label_likelihoods.label_frame(300, n_categories=2, seed=3))
    coin = ps.fit(ps.OneCoin(accuracy="truth"), table, engine=ps.MarginalML())
    matrix = ps.fit(ps.DawidSkene(), table, engine=ps.MarginalML())
    assert coin.log_likelihood == pytest.approx(matrix.log_likelihood, abs=1e-6)
    diagonal = np.diagonal(matrix.parameters["confusion"], axis1=1, axis2=2)
    np.testing.assert_allclose(coin.parameters["accuracy"], diagonal, atol=1e-4)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(DesignError, match=r"OneCoin\(accuracy='both'\) must be 'common' or 'truth'"):
        ps.OneCoin(accuracy="both")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DesignError, match=r"prior_accuracy=1.5\) must be a probability"):
        ps.OneCoin(prior_accuracy=1.5)
