"""Scores of candidates of a simplex judge: against draws by hand, and read by the functions of ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError

LEVELS = np.array([[0.6, 0.3, 0.1], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]])


def counted_labels(*, strata: bool = False, labels: tuple[object, ...] = (1, 2, 3)) -> ps.ResponseTable:
    """Expected labels of three candidates, 100 each; three times as many of easy as of hard answers."""
    parts = (("easy", 0.75), ("hard", 0.25)) if strata else (("", 1.0),)
    rows = [
        (f"m{c}", "j", part, labels[k], 100 * share * LEVELS[c, k])
        for c in range(3)
        for part, share in parts
        for k in range(3)
    ]
    frame = pd.DataFrame(rows, columns=["model", "judge", "level", "label", "n"])
    facets = ("judge", "level") if strata else ("judge",)
    return ps.ResponseTable.from_frame(
        frame, response="label", subject="model", facets=facets, weight="n", categories=labels
    )


def drawn_fit(fit: ps.Fit, shape: tuple[int, ...], *, seed: int = 0) -> tuple[ps.Fit, np.ndarray]:
    """The fit as if these draws, shape (chains, draws, candidates[, strata], levels), were its own."""
    rng = np.random.default_rng(seed)
    centre = LEVELS[:, None] if len(shape) == 4 else LEVELS
    gammas = rng.gamma(np.broadcast_to(30 * centre, (*shape, 3)))
    prevalence = gammas / gammas.sum(axis=-1, keepdims=True)
    return replace(fit, draws={"prevalence": prevalence}), prevalence


@pytest.fixture(scope="module")
def counts_fit() -> tuple[ps.Fit, ps.ResponseTable]:
    table = counted_labels()
    return ps.fit(ps.SimplexJudge(), table), table


def test_scores_and_ranks_are_those_of_the_draws(counts_fit: tuple[ps.Fit, ps.ResponseTable]) -> None:
    plain, table = counts_fit
    fit, drawn = drawn_fit(plain, (2, 300, 3))
    scores = ps.candidate_scores(fit, table, level=0.9)
    means = [[[row[0] + 2 * row[1] + 3 * row[2] for row in one] for one in chain] for chain in drawn.tolist()]
    by_hand = np.array(means).reshape(-1, 3)
    frame = scores.frame
    assert frame["subject"].tolist() == ["m0", "m1", "m2"]
    assert frame["estimate"].to_numpy() == pytest.approx(by_hand.mean(axis=0), abs=1e-12)
    assert frame["se"].to_numpy() == pytest.approx(by_hand.std(axis=0, ddof=1), abs=1e-12)
    assert frame["lower"].to_numpy() == pytest.approx(np.quantile(by_hand, 0.05, axis=0), abs=1e-12)
    assert frame["n"].tolist() == pytest.approx([100, 100, 100])
    assert scores.notes == plain.notes

    best = ps.p_best(scores).set_index("level")["p_best"]
    wins = np.bincount(by_hand.argmax(axis=1), minlength=3) / len(by_hand)
    assert best[["m0", "m1", "m2"]].to_numpy() == pytest.approx(wins, abs=1e-12)
    pairs = ps.pairwise_probabilities(scores)
    assert pairs.loc["m2", "m1"] == pytest.approx(np.mean(by_hand[:, 2] > by_hand[:, 1]), abs=1e-12)
    assert 0.5 < pairs.loc["m2", "m1"] < 1
    ranks = ps.rank_intervals(scores, level=0.9).set_index("level")
    place = 1 + np.sum(by_hand[:, None, :] > by_hand[:, :, None], axis=2)
    for at, name in enumerate(["m0", "m1", "m2"]):
        ends = np.quantile(place[:, at], [0.05, 0.95], method="inverted_cdf")
        assert ranks.loc[name, ["rank_lower", "rank_upper"]].tolist() == ends.tolist()


def test_given_values_replace_the_labels_and_many_draws_are_thinned(
    counts_fit: tuple[ps.Fit, ps.ResponseTable],
) -> None:
    plain, table = counts_fit
    fit, drawn = drawn_fit(plain, (2, 1_500, 3))
    scores = ps.candidate_scores(fit, table, values=[0, 0, 1])
    kept = scores.frame.filter(like="pv").to_numpy()
    assert kept.shape == (3, 2_000)
    assert np.all(np.isin(kept[0].round(12), drawn[:, :, 0, 2].round(12)))
    with pytest.raises(DataError, match=r"values=\[0, 1\] must be 3 numbers"):
        ps.candidate_scores(fit, table, values=[0, 1])
    with pytest.raises(DataError, match=r"level=1\.5 is not a coverage"):
        ps.candidate_scores(fit, table, level=1.5)


def test_strata_count_by_their_share_of_the_labels(counts_fit: tuple[ps.Fit, ps.ResponseTable]) -> None:
    model, table = ps.SimplexJudge(strata="level"), counted_labels(strata=True)
    own = replace(counts_fit[0].provenance, source=table.hash)
    fit, drawn = drawn_fit(replace(counts_fit[0], model=model, provenance=own), (2, 60, 3, 2))
    by_hand = (0.75 * drawn[..., 0, :] + 0.25 * drawn[..., 1, :]) @ [1, 2, 3]
    scores = ps.candidate_scores(fit, table)
    assert scores.frame["estimate"].to_numpy() == pytest.approx(by_hand.mean(axis=(0, 1)), abs=1e-12)


def test_fits_without_draws_and_other_tables_are_refused(
    counts_fit: tuple[ps.Fit, ps.ResponseTable],
) -> None:
    with pytest.raises(DataError, match="MAP gives no draws"):
        ps.candidate_scores(*counts_fit)
    fit, _ = drawn_fit(counts_fit[0], (2, 60, 3))
    with pytest.raises(DataError, match="the table is not the one that was fitted"):
        ps.candidate_scores(fit, counted_labels(labels=("bad", "fair", "good")))
    with pytest.raises(DataError, match="got a fit of Rasch"):
        ps.candidate_scores(replace(fit, model=ps.Rasch()), counted_labels())


@pytest.mark.thorough
def test_nuts_is_read() -> None:
    table = counted_labels()
    fit = ps.fit(ps.SimplexJudge(prior_labels=50.0), table, engine=ps.NUTS(warmup=300, draws=300, chains=2))
    scores = ps.candidate_scores(fit, table)
    drawn = fit.draws["prevalence"].reshape(-1, 3, 3) @ [1, 2, 3]
    assert scores.frame["estimate"].to_numpy() == pytest.approx(drawn.mean(axis=0), abs=1e-12)
    assert any("driven by the prior" in note for note in scores.notes)
    assert ps.p_best(scores)["level"][0] == "m2"
