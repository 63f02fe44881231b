"""The human ceiling: all ways of taking people out, by loops; what it is for judges of known quality; bad input."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.calibration import splits
from psymetric.calibration.distances import STATISTICS, distances, entropy
from psymetric.calibration.splits import judge_moments, people_moments, splits_of
from psymetric.errors import DataError

VALUES = np.arange(3.0)
PEOPLE = list("abcde")


def world(*, units=120, seed=0, people=PEOPLE):
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(units):
        truth = rng.dirichlet([0.8, 0.8, 0.8])
        rows += [(s, who, rng.choice(3, p=truth), 1.0) for who in people]
        rows += [(s, "person more", rng.choice(3, p=truth), 1.0)]
        rows += [(s, "truth", k, truth[k]) for k in range(3)]
        rows += [(s, "chance", rng.integers(3), 1.0)]
    return pd.DataFrame(rows, columns=["s", "judge", "x", "w"])


def table_of(frame):
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", facets="judge", weight="w")


def shares(labels):
    return np.bincount(labels, minlength=3) / len(labels)


def by_loops(frame, panel, judge=None):
    """Mean distances over units and over every choice of people, and the correlation of the entropies."""
    rows, pairs = [], []
    for _, part in frame.groupby("s"):
        labels = part.loc[part["judge"].isin(PEOPLE), "x"].to_numpy()
        own = part.loc[part["judge"] == judge]
        said = np.bincount(own["x"], own["w"], 3) if judge else None
        ways = list(combinations(range(len(labels)), panel))
        for chosen in ways:
            rest = shares(np.delete(labels, chosen))
            other = shares(labels[list(chosen)]) if judge is None else said
            rows.append(distances(rest, other, VALUES, 0.01))
            pairs.append((entropy(rest), entropy(other)))
    rows, pairs = np.array(rows), np.array(pairs)
    r = np.corrcoef(pairs.T)[0, 1] if np.ptp(pairs[:, 1]) > 0 else np.nan
    return [*rows.mean(axis=0), r]


@pytest.mark.parametrize("panel", [1, 2, 3])
def test_against_loops_over_all_choices(panel):
    frame = world(units=25)
    result = ps.human_ceiling(table_of(frame), tested=["truth", "chance"], people=PEOPLE, panel=panel, draws=20).frame
    ceiling = by_loops(frame, panel)
    np.testing.assert_allclose(result.loc[result["judge"].isna(), "value"], ceiling, rtol=1e-9)
    for judge in ("truth", "chance"):
        rows = result[result["judge"] == judge]
        expected = np.array(by_loops(frame, panel, judge))
        np.testing.assert_allclose(rows["value"], expected, rtol=1e-9)
        np.testing.assert_allclose(rows["ceiling"], ceiling, rtol=1e-9)
        short = expected - ceiling
        short[-1] *= -1  # more correlation is better
        np.testing.assert_allclose(rows["shortfall"], short, rtol=1e-7, atol=1e-12)


def test_one_person_against_the_others_is_their_disagreement():
    """With one label, total variation is the chance that another person disagrees: 1 − Σ n(n − 1) / (n (n − 1))."""
    frame = world()
    result = ps.human_ceiling(table_of(frame), people=PEOPLE, draws=20).frame.set_index("statistic")
    people = frame[frame["judge"].isin(PEOPLE)]
    agree = [np.mean([x == y for x, y in combinations(part["x"], 2)]) for _, part in people.groupby("s")]
    assert result.loc["total variation", "value"] == pytest.approx(1 - np.mean(agree))


def test_a_person_more_reaches_the_ceiling_and_the_truth_is_above_it():
    result = ps.human_ceiling(
        table_of(world(units=400)), tested=["person more", "truth", "chance"], people=PEOPLE
    ).frame
    found = result[result["statistic"].isin(STATISTICS)].set_index(["judge", "statistic"])
    for name in STATISTICS:
        like, truth, chance = (found.loc[(judge, name)] for judge in ("person more", "truth", "chance"))
        assert like["shortfall_lower"] < 0 < like["shortfall_upper"]
        assert truth["shortfall_upper"] < 0 < chance["shortfall_lower"]


def test_a_panel_of_several_needs_a_distribution():
    result = ps.human_ceiling(table_of(world()), tested=["truth", "chance"], people=PEOPLE, panel=2, draws=100)
    r = result.frame[result.frame["statistic"] == "entropy correlation"].set_index("judge")["value"]
    assert r["truth"] > 0.1
    assert np.isnan(r["chance"])
    assert "nan" not in str(result)
    assert "2 fresh people against the others" in result._repr_html_()


def test_many_choices_are_drawn(monkeypatch):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(9, [0.2, 0.3, 0.5], size=40).astype(float)
    exact = splits_of(counts, 4, rng)
    judge = rng.dirichlet([1, 1, 1], 40)
    monkeypatch.setattr(splits, "_MOST", 1)
    few = splits_of(counts, 4, rng)
    assert exact.drawn == 0 < few.drawn
    monkeypatch.setattr(splits, "_MOST", 2000)
    drawn = splits.Splits(*_redrawn(counts, 4, rng))
    for moments in (people_moments, lambda s, v, u: judge_moments(s, judge, v, u)):
        np.testing.assert_allclose(moments(drawn, VALUES, 0.01), moments(exact, VALUES, 0.01), atol=0.12)


def _redrawn(counts, panel, rng):
    patterns, place = np.unique(counts, axis=0, return_inverse=True)
    taken = [rng.multivariate_hypergeometric(row.astype(int), panel, size=2000) for row in patterns]
    first = np.arange(len(patterns) + 1) * 2000
    rest = np.repeat(patterns, 2000, axis=0) - np.concatenate(taken)
    chance = np.full(len(rest), 1 / 2000)
    return place.reshape(-1), first, np.concatenate(taken).astype(float), rest, chance, len(patterns)


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    counts = rng.multinomial(6, [0.2, 0.3, 0.5], size=60).astype(float)
    judge = rng.dirichlet([1, 1, 1], 60)
    ways = splits_of(counts, 2, rng)
    whole = judge_moments(ways, judge, VALUES, 0.01)
    monkeypatch.setattr(splits, "_CHUNK", 8)
    np.testing.assert_allclose(judge_moments(ways, judge, VALUES, 0.01), whole)


def test_units_with_too_few_people_are_left_out():
    frame = world(units=30)
    frame = frame[~frame["judge"].isin(["b", "c", "d", "e"]) | (frame["s"] >= 12)]
    result = ps.human_ceiling(table_of(frame), tested="truth", people=PEOPLE, draws=20)
    assert "12 of 30 units have no more than 1 person and are left out" in result.notes
    assert set(result.frame["n_units"]) == {18}
    only = frame[(frame["judge"] != "truth") | (frame["s"] < 12)]
    result = ps.human_ceiling(table_of(only), tested="truth", people=PEOPLE, draws=20)
    assert "'truth' labelled no unit with more than 1 person" in result.notes
    assert result.frame["judge"].isna().all()


def test_two_people_have_a_ceiling():
    frame = world(units=40, people=list("ab"))
    result = ps.human_ceiling(table_of(frame), tested="person more", people=["a", "b"], draws=20)
    assert result.frame["value"].notna().sum() == 10


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"panel": 0}, "panel=0 people; take out at least 1"),
        ({"panel": 5}, r"no unit has more than panel=5 people \(got 5 at most\)"),
        ({"people": ["a"]}, "people disagree only where there are at least two"),
        ({"uniform_share": 1.0}, "uniform_share=1.0 is not a share"),
        ({"draws": 0}, "draws=0 samples"),
    ],
)
def test_what_has_no_ceiling_is_said(options, says):
    with pytest.raises(DataError, match=says):
        ps.human_ceiling(table_of(world(units=10)), tested="truth", **{"people": PEOPLE, **options})
