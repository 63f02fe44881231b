"""Simulated savings: refits against the general engine, accounts of answers, and comparisons read off curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import psymetric as ps
from psymetric.adaptive.gains import difference_variance
from psymetric.adaptive.pair_courses import AbstractSupply, ModelSupply, RecordedSupply, follow, refit
from psymetric.adaptive.savings import _kendall  # pyright: ignore[reportPrivateUsage]
from psymetric.errors import DataError

WORTHS = np.array([1.4, 0.9, 0.2, 0.0, -0.8, -1.7])


def votes(n: int = 300) -> ps.PairTable:
    """Votes with ties among six items, from Davidson's model with ν = 1."""
    rng = np.random.default_rng(2)
    rows: list[tuple[str, str, str]] = []
    for _ in range(n):
        i, j = rng.choice(6, 2, replace=False)
        odds = np.exp([(WORTHS[i] - WORTHS[j]) / 2, (WORTHS[j] - WORTHS[i]) / 2, 0.0])
        rows.append((f"m{i}", f"m{j}", str(rng.choice(["left", "right", "tie"], p=odds / odds.sum()))))
    frame = pd.DataFrame(rows, columns=["left", "right", "o"])
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="o")


def counts(table: ps.PairTable) -> tuple[np.ndarray, np.ndarray]:
    wins, ties = np.zeros((1, 6, 6)), np.zeros((1, 6, 6))
    for left, right, outcome in zip(table.codes["left"], table.codes["right"], table.response, strict=True):
        if outcome == 2:
            ties[0, left, right] += 1
            ties[0, right, left] += 1
        else:
            wins[(0, left, right) if outcome == 0 else (0, right, left)] += 1
    return wins, ties


def test_refit_is_the_general_fit() -> None:
    table = votes()
    fit = ps.fit(ps.BradleyTerry(ties="davidson"), table, engine=ps.MAP())
    wins, ties = counts(table)
    worth, covariance = refit(wins, ties, np.zeros((1, 6)), tie=float(fit.parameters["tie"]), prior_sd=2.0)
    # Newton's steps end within the engine's tolerance of 1e-6 logits.
    np.testing.assert_allclose(worth[0], fit.parameters["worth"], atol=2e-6)
    # There the tie is estimated: what remains of the worths' covariance once it is known.
    with_tie, own = fit.factors["worth"] @ fit.factors["tie"], fit.factors["tie"] @ fit.factors["tie"]
    known = fit.covariances["worth"] - np.outer(with_tie, with_tie) / own
    np.testing.assert_allclose(difference_variance(covariance[0]), difference_variance(known), atol=1e-6)


def test_refit_bears_separated_items() -> None:
    wins = np.zeros((1, 3, 3))
    wins[0, 0, 1] = wins[0, 1, 2] = 500.0
    worth, _ = refit(wins, np.zeros((1, 3, 3)), np.array([[-3.0, 0.0, 3.0]]), tie=-np.inf, prior_sd=2.0)
    assert worth[0, 0] - worth[0, 1] > 3
    np.testing.assert_allclose(worth.sum(), 0, atol=1e-6)


def test_answers_follow_the_model() -> None:
    size, rng = 40_000, np.random.default_rng(3)
    supply = ModelSupply(np.tile(WORTHS, (size, 1)), 0.0)
    drawn = supply.draw(np.full(size, 1), np.full(size, 3), rng)
    odds = np.exp([0.45, -0.45, 0.0])
    chance = odds / odds.sum()
    share = np.bincount(drawn, minlength=3) / size
    assert (np.abs(share - chance) < 4.5 * np.sqrt(chance * (1 - chance) / size)).all()


def test_recorded_answers_are_drawn_once_each() -> None:
    wins, ties = counts(votes(60))
    recorded = np.stack([wins, wins.swapaxes(1, 2), ties], axis=-1)
    supply = RecordedSupply(recorded.copy())
    rng = np.random.default_rng(4)
    seen = np.zeros_like(recorded)
    for i, j in np.argwhere(np.triu(recorded[0].sum(axis=-1)) > 0):
        for _ in range(int(recorded[0, i, j].sum())):
            # From either side of the pair.
            left, right = ((i, j), (j, i))[int(rng.integers(2))]
            outcome = int(supply.draw(np.array([left]), np.array([right]), rng)[0])
            seen[0, left, right, outcome] += 1
            seen[0, right, left, (1, 0, 2)[outcome]] += 1
    np.testing.assert_array_equal(seen, recorded)
    assert not supply.is_open().any()


def test_all_recorded_answers_are_the_whole_table() -> None:
    found = ps.pair_savings(
        votes(), comparisons=300, batch=1, replicates=2, answers="recorded", strategies=("random", "ranking"), k=2
    )
    for courses in (found.kendall, found.top_k):
        for values in courses.values():
            np.testing.assert_allclose(values[:, -1], 1.0)
            assert values[:, 0].max() < 1
    assert any("0 pairs of 15 without any are not asked" in note for note in found.notes)


@pytest.mark.parametrize("strategy", ["random", "round_robin", "ranking", "information"])
def test_a_batch_holds_no_pair_twice(strategy: Any) -> None:
    asked: list[tuple[int, int]] = []

    class Supply(AbstractSupply):
        """Writes down what it is asked."""

        inner = ModelSupply(np.tile(WORTHS, (2, 1)), -np.inf)

        def is_open(self) -> np.ndarray:
            return self.inner.is_open()

        def draw(self, left: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            asked.append((min(left[0], right[0]), max(left[0], right[0])))
            return self.inner.draw(left, right, rng)

    follow(
        Supply(),
        strategy,
        size=(2, 6),
        batches=3,
        batch=15,
        k=0,
        tie=-np.inf,
        prior_sd=2.0,
        rng=np.random.default_rng(0),
    )
    for batch in range(3):
        assert len(set(asked[15 * batch : 15 * batch + 15])) == 15


def test_kendall_is_scipys() -> None:
    found = ps.pair_savings(WORTHS, comparisons=30, replicates=3, strategies=("round_robin",), batch=15)
    course = found.kendall["round_robin"]
    assert course.shape == (3, 2)
    worth, true = np.random.default_rng(12).normal(size=(2, 4, 9))
    np.testing.assert_allclose(
        _kendall(worth, true), [kendalltau(a, b).statistic for a, b in zip(worth, true, strict=True)]
    )


def curves() -> ps.PairSavings:
    """Accuracy that rises on straight lines: random reaches .8 after 80, ranking after 40 comparisons."""
    at = np.arange(10, 110, 10)
    spread = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])[:, None]
    lines = {"random": at / 100 + spread, "ranking": np.minimum(at / 50, 1.0) + spread, "worths": at / 1000 + spread}
    return ps.PairSavings(at, lines, {}, 8, None)


def test_comparisons_needed_are_read_off_the_curves() -> None:
    found = curves().needed(0.805).set_index("strategy")
    assert found.loc["random", "comparisons"] == pytest.approx(80.5)
    assert found.loc["ranking", "comparisons"] == pytest.approx(40.25)
    assert found.loc["ranking", "share"] == pytest.approx(0.5)
    assert found.loc["random", ["share", "share_lower", "share_upper"]].tolist() == [1.0, 1.0, 1.0]
    assert np.isinf(found.loc["worths", ["comparisons", "share"]].astype(float)).all()
    # Curves are shifted by the mean of five of -.02 … .02: 1.414 /√5 comparisons of sd, in both strategies alike.
    half = found.loc["random", "upper"] - 80.5
    assert half == pytest.approx(1.96 * np.sqrt(2 / 5), abs=0.3)
    assert found.loc["ranking", "share_upper"] - found.loc["ranking", "share_lower"] < 0.01


def test_falling_curves_are_made_to_rise() -> None:
    found = curves()
    bumpy = {"random": found.kendall["random"] + np.array([0, 0, 0.15, -0.15, 0, 0, 0, 0, 0, 0])}
    # .45 and .25 at 30 and 40 comparisons count as .35 each, which .3 is passed before.
    assert replace(found, kendall=bumpy).needed(0.3)["comparisons"][0] == pytest.approx(20 + 10 * (0.3 - 0.2) / 0.15)


def test_frame_has_means_and_errors() -> None:
    found = ps.pair_savings(WORTHS, comparisons=20, batch=10, k=2, replicates=6, strategies=("random", "top_k"))
    frame = found.frame
    assert len(frame) == 2 * 2 * 2
    row = frame[(frame["strategy"] == "top_k") & (frame["measure"] == "top_k") & (frame["comparisons"] == 20)].iloc[0]
    values = found.top_k["top_k"][:, 1]
    assert row["accuracy"] == pytest.approx(values.mean())
    assert row["se"] == pytest.approx(values.std(ddof=1) / np.sqrt(6))
    again = ps.pair_savings(WORTHS, comparisons=20, batch=10, k=2, replicates=6, strategies=("random", "top_k"))
    pd.testing.assert_frame_equal(frame, again.frame)


def test_choosing_saves_half_where_worths_are_spread() -> None:
    """Ten items over ten logits: most random pairs tell nothing. The bound is the claim, the interval is computed."""
    found = ps.pair_savings(
        np.linspace(-5, 5, 10), comparisons=300, batch=5, k=3, replicates=60, strategies=("random", "ranking", "top_k")
    )
    whole = found.needed(0.95).set_index("strategy").loc["ranking"]
    best = found.needed(0.95, measure="top_k").set_index("strategy").loc["top_k"]
    assert whole["share_upper"] < 0.5
    assert best["share_upper"] < 0.5


@pytest.mark.slow
@pytest.mark.shared_data
def test_choosing_finds_the_best_of_llmfao_with_half_the_votes(shared_data: Path) -> None:
    """The top ten of 59 models from recorded votes; the whole order is found only a little sooner."""
    frame = pd.read_csv(shared_data / "llmfao" / "crowd-comparisons.csv")
    table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner")
    found = ps.pair_savings(
        table,
        comparisons=4_000,
        batch=40,
        k=10,
        replicates=20,
        answers="recorded",
        strategies=("random", "ranking", "top_k"),
    )
    best = found.needed(0.6, measure="top_k").set_index("strategy").loc["top_k"]
    whole = found.needed(0.75).set_index("strategy").loc["ranking"]
    assert best["share"] < 0.5
    assert whole["share_upper"] < 1
    assert any("784 pairs of 1,711 without any are not asked" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": [1.0]}, r"truth of shape \(1, 1\); give finite worths of two or more items"),
        ({"truth": [1.0, np.nan]}, "give finite worths"),
        ({"truth": ["a", "b"]}, "truth is neither worths nor a PairTable"),
        ({"truth": [1.0, 1.0]}, "all worths are equal in set 0 of 1"),
        ({"answers": "again"}, "answers='again' is not known"),
        ({"answers": "recorded"}, 'answers="recorded" draws from a PairTable'),
        ({"tie_share": 1.0}, "tie_share=1.0 is not a share"),
        ({"strategies": ("best",)}, r"strategies=\['best'\]; name each once"),
        ({"strategies": ("top_k",)}, 'the strategy "top_k" needs k='),
        ({"k": 6}, "k=6 of 6 items"),
        ({"batch": 16}, "batch=16 of 30 comparisons among 15 pairs"),
        ({"replicates": 1}, "replicates=1; an error of the simulation needs at least 2"),
        ({"prior_sd": 0.0}, "prior_sd=0.0 is not a scale above zero"),
    ],
)
def test_what_cannot_be_simulated_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.pair_savings(**({"truth": WORTHS, "comparisons": 30} | change))


def test_answers_that_run_out_are_an_error() -> None:
    with pytest.raises(DataError, match=r"after \d+ comparisons by 'random' only \d+ pairs? can be asked"):
        ps.pair_savings(votes(), comparisons=400, batch=5, replicates=2, answers="recorded", strategies=("random",))
    with pytest.raises(DataError, match="comparisons have ties of their own"):
        ps.pair_savings(votes(), comparisons=10, tie_share=0.2)


def test_what_was_not_simulated_cannot_be_read() -> None:
    with pytest.raises(DataError, match=r"'random' reaches 1\.000 in 100 comparisons, and not 1\.2"):
        curves().needed(1.2)
    with pytest.raises(DataError, match="'top_k' by 'random' was not simulated"):
        curves().needed(0.5, measure="top_k")
    with pytest.raises(DataError, match="level=95 is not a coverage"):
        curves().needed(0.5, level=95)
