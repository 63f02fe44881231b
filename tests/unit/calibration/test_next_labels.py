"""Rows to label: their chances, the draw, and what choosing them gains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.calibration.influence import powered_mean
from psymetric.calibration.next_labels import inclusion, systematic
from psymetric.errors import DataError


def test_chances_are_in_proportion_and_at_most_one():
    everything = np.ones(5, bool)
    np.testing.assert_allclose(inclusion(np.array([1.0, 1, 2, 2, 4]), everything, 2), [0.2, 0.2, 0.4, 0.4, 0.8])
    capped = inclusion(np.array([1.0, 1, 1, 1, 36]), everything, 3)
    np.testing.assert_allclose(capped, [0.5, 0.5, 0.5, 0.5, 1])
    some = inclusion(np.array([1.0, 1, 2, 2, 4]), np.array([True, True, True, False, False]), 1)
    np.testing.assert_allclose(some, [0.25, 0.25, 0.5, 0.5, 1])
    np.testing.assert_allclose(inclusion(np.ones(4), np.ones(4, bool), 4), 1)


def test_draws_have_their_size_and_their_chances():
    chance = inclusion(np.array([1.0, 2, 3, 4, 5, 60, 7, 8]), np.ones(8, bool), 4)
    rng, runs = np.random.default_rng(0), 4000
    drawn = np.zeros(8)
    for _ in range(runs):
        places = systematic(chance, rng)
        assert len(set(places.tolist())) == 4
        drawn[places] += 1
    assert drawn[5] == runs
    error = np.sqrt(chance * (1 - chance) / runs)
    assert (np.abs(drawn / runs - chance) <= 3.3 * error + 1e-12).all()


def world(seed: int, rows: int = 2000) -> tuple[pd.DataFrame, float]:
    """A judge that gives probabilities, most of them sure and all of them right on average."""
    rng = np.random.default_rng(seed)
    judge = rng.beta(0.35, 0.2, rows)
    return pd.DataFrame({"judge": judge, "truth": (rng.random(rows) < judge).astype(float)}), 0.35 / 0.55


def test_choosing_beats_chance_and_stays_right():
    """The variance that labels leave: σ̄² / E σ² of it with chances as the errors' sizes σ (Neyman)."""
    errors = {0.2: [], 1.0: []}
    for even, found in errors.items():
        for seed in range(200):
            frame, truth = world(seed)
            plan = ps.next_labels(frame, n=150, even=even, seed=seed)
            label = frame["truth"].where(plan["chosen"]).to_numpy()
            probability = plan["probability"].to_numpy()
            found.append(powered_mean(frame["judge"].to_numpy(), label, probability=probability).estimate - truth)
    chosen, random = (np.array(errors[even]) for even in (0.2, 1.0))
    assert abs(chosen.mean()) < 3.3 * chosen.std() / np.sqrt(200)
    ratio = np.mean(chosen**2) / np.mean(random**2)
    rng = np.random.default_rng(1)
    again = rng.integers(0, 200, (1000, 200))
    ratios = np.mean(chosen[again] ** 2, axis=1) / np.mean(random[again] ** 2, axis=1)
    assert np.quantile(ratios, 0.99) < 1
    sizes = [np.sqrt(world(seed)[0]["judge"].to_numpy() * (1 - world(seed)[0]["judge"].to_numpy())) for seed in (0, 1)]
    least = np.mean([size.mean() ** 2 / np.mean(size**2) for size in sizes])
    assert least - 3.3 * ratios.std() < ratio


def test_a_second_draw_learns_from_the_first():
    rng = np.random.default_rng(2)
    truth = (rng.random(3000) < 0.6).astype(float)
    words = np.where(rng.random(3000) < 0.3, "unsure", np.where(truth == 1, "yes", "no"))
    frame = pd.DataFrame({"judge": words, "human": np.where(rng.permutation(3000) < 100, truth, np.nan)})
    values = {"yes": 1, "unsure": 0.5, "no": 0, 1.0: 1, 0.0: 0}
    plan = ps.next_labels(frame, n=200, label="human", values=values)
    assert plan["chosen"].sum() == 200
    assert not (plan["chosen"] & frame["human"].notna()).any()
    chances = plan.groupby(frame["judge"])["probability"].agg(["min", "max"])
    assert chances.loc["unsure", "min"] > 2 * chances.loc[["yes", "no"], "max"].max()
    # Over both draws a row has the chance of the first, or else that of the second.
    assert plan["probability"].sum() == pytest.approx(300, rel=0.02)
    frame = frame.assign(human=frame["human"].where(~plan["chosen"], truth), p=plan["probability"])
    found = ps.calibrated_estimate(frame, values=values, probability="p").frame.iloc[0]
    assert found["n_labels"] == 300
    assert found["lower"] < 0.6 < found["upper"]
    assert not found["note"]
    third = ps.next_labels(frame, n=50, label="human", probability="p", values=values)
    assert (third["probability"] > plan["probability"]).all()


def test_rows_keep_their_index_and_those_without_a_verdict_stay_out():
    frame = pd.DataFrame({"judge": [0.5, np.nan, 0.9, 0.2], "spread": [1.0, np.nan, 3.0, 2.0]}, index=list("wxyz"))
    plan = ps.next_labels(frame, n=2, uncertainty="spread", even=0.5)
    assert plan.index.tolist() == ["w", "x", "y", "z"]
    assert plan["chosen"].sum() == 2
    np.testing.assert_allclose(plan["probability"], [0.5, 0, 5 / 6, 2 / 3])
    pd.testing.assert_frame_equal(plan, ps.next_labels(frame, n=2, uncertainty="spread", even=0.5))


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({}, {"n": 51}, "n=51 of 50 rows with a verdict and no label"),
        ({}, {"n": 5, "even": 0.0}, r"even=0\.0 is not a share in \(0, 1\]"),
        ({"judge": 1.0}, {"n": 5}, "nothing says where the judge may be wrong"),
        ({"judge": 3.0}, {"n": 5}, "its verdicts are no probabilities"),
        ({"u": 0.0}, {"n": 5, "uncertainty": "u"}, "the expected error is 0 in every row"),
        ({"u": -1.0}, {"n": 5, "uncertainty": "u"}, r"column 'u' is missing, negative or text \(50 of 50 rows"),
        ({"p": 2.0}, {"n": 5, "probability": "p"}, "column 'p' is no chance"),
        ({}, {"n": 5, "uncertainty": "entropy"}, "no column 'entropy'"),
        ({"judge": "yes"}, {"n": 5}, "categories without a value"),
    ],
)
def test_bad_input_is_named(change, options, says):
    frame = pd.DataFrame({"judge": np.linspace(0.1, 0.9, 50)})
    with pytest.raises(DataError, match=f"next_labels: .*{says}"):
        ps.next_labels(frame.assign(**change), **options)
