"""Distributions of people and judges: distances against scipy, what a perfect judge shows, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

import psymetric as ps
from psymetric.calibration.distances import (
    STATISTICS,
    distances,
    entropy,
    entropy_moments,
    floors,
    spread_of_people,
)
from psymetric.calibration.resampled import over_subjects
from psymetric.errors import DataError

VALUES = np.array([0.0, 1.0, 2.0, 5.0])


@pytest.fixture(scope="module")
def shares():
    rng = np.random.default_rng(1)
    people = rng.multinomial(5, rng.dirichlet([0.6] * 4, 200)) / 5
    return people, rng.dirichlet([0.5] * 4, 200)


def test_distances_are_those_of_scipy(shares):
    people, judge = shares
    found = dict(zip(STATISTICS, distances(people, judge, VALUES, 0.01).T, strict=True))
    np.testing.assert_allclose(found["Jensen-Shannon"], jensenshannon(people, judge, base=2, axis=1) ** 2, atol=1e-12)
    earth = [stats.wasserstein_distance(VALUES, VALUES, p, q) for p, q in zip(people, judge, strict=True)]
    np.testing.assert_allclose(found["Wasserstein"], earth)
    mixed = 0.99 * judge + 0.01 / 4
    cross = stats.entropy(people, base=2, axis=1) + stats.entropy(people, mixed, base=2, axis=1)
    np.testing.assert_allclose(found["log loss"], cross)
    # The largest difference in the chance of any set of categories.
    events = np.array([[bool(k >> j & 1) for j in range(4)] for k in range(16)])
    np.testing.assert_allclose(found["total variation"], np.max((people - judge) @ events.T, axis=1))
    np.testing.assert_allclose(found["squared distance"], np.linalg.norm(people - judge, axis=1) ** 2)


def test_distances_at_their_ends():
    one, other = np.eye(4)[0], np.eye(4)[3]
    np.testing.assert_allclose(distances(one, other, VALUES, 0.04), [1, 1, 5, 2, np.log2(4 / 0.04)])
    np.testing.assert_allclose(distances(one, one, VALUES, 1e-12), 0, atol=1e-11)
    assert entropy(np.full(4, 0.25)) == pytest.approx(2)


def drawn(parameters, n, units, seed):
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(parameters, units)
    return truth, rng.multinomial(n, truth).astype(float), rng


@pytest.mark.parametrize("parameters", [[0.7, 0.7, 0.7, 0.7], [2.0, 0.5, 0.2, 0.1]])
@pytest.mark.parametrize("n", [2, 5])
def test_perfect_judge_is_found_by_simulation(parameters, n):
    """A judge that says the true shares shows the floors and the entropy that are computed without the truth."""
    truth, counts, rng = drawn(parameters, n, 20_000, 3)
    shown, true = distances(counts / n, truth, VALUES, 0.01), entropy(truth)
    said = floors(counts, VALUES, 0.01, rng)
    moments = entropy_moments(counts, spread_of_people(counts))
    pairs = [
        *zip(shown.T, said.T[:-1], strict=True),
        (true, said[:, -1]),
        (true, moments[:, 0]),
        (true**2, moments[:, 1]),
    ]
    for seen, computed in pairs:
        # Twice the Monte Carlo error of four sd: the laws are estimated from the same units.
        band = 8 * np.std(seen) / np.sqrt(len(seen))
        assert computed.mean() == pytest.approx(seen.mean(), abs=band)
    assert said[:, -1].mean() - entropy(counts / n).mean() > 0.1  # what few labels take away


def test_floors_hold_where_categories_are_ordered():
    """Neighbouring categories go together, which no Dirichlet law allows; each share by itself is nearly a Beta."""
    rng, n = np.random.default_rng(9), 4
    centre, width = rng.normal(0, 1.2, 20_000), 0.7
    cuts = stats.norm.cdf((np.array([-1.0, 0.0, 1.0]) - centre[:, None]) / width)
    truth = np.diff(np.column_stack([np.zeros(len(cuts)), cuts, np.ones(len(cuts))]), axis=1)
    counts = rng.multinomial(n, truth).astype(float)
    shown, said = distances(counts / n, truth, np.arange(4.0), 0.01), floors(counts, np.arange(4.0), 0.01, rng)
    # What the docstring says of this world: where the law matters, `perfect` is too high by up to a tenth.
    ratio = dict(zip(STATISTICS, said[:, :-1].mean(axis=0) / shown.mean(axis=0), strict=True))
    assert ratio["Wasserstein"] == pytest.approx(1, abs=0.01)
    assert ratio["squared distance"] == pytest.approx(1, abs=0.01)
    assert ratio["total variation"] == pytest.approx(1.045, abs=0.015)
    assert ratio["Jensen-Shannon"] == pytest.approx(1.094, abs=0.02)


def test_moments_of_the_dirichlet_law_are_recovered():
    _, counts, _ = drawn([2.0, 0.5, 0.2, 0.1], 4, 40_000, 4)
    spread = spread_of_people(counts)
    np.testing.assert_allclose(spread.mean, np.array([2.0, 0.5, 0.2, 0.1]) / 2.8, atol=0.01)
    assert spread.total == pytest.approx(2.8, rel=0.05)


def test_entropy_under_a_dirichlet_law_by_integration():
    """Closed form against draws, for one unit."""
    counts = np.array([[3.0, 1.0, 0.0]])
    spread = spread_of_people(np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 3.0], [2.0, 2.0, 0.0]]))
    sampled = entropy(np.random.default_rng(0).dirichlet(counts[0] + spread.parameters, 200_000))
    for power, moment in enumerate(entropy_moments(counts, spread)[0], 1):
        assert moment == pytest.approx(np.mean(sampled**power), abs=5 * np.std(sampled**power) / 200_000**0.5)


def test_people_who_never_disagree_have_no_floor():
    counts = np.array([[3.0, 0.0], [0.0, 4.0], [2.0, 0.0]])
    spread = spread_of_people(counts)
    assert spread.total == 0
    found = floors(counts, np.arange(2.0), 0.01, np.random.default_rng(0))
    np.testing.assert_allclose(found[:, [0, 1, 2, 3, 5]], 0, atol=1e-12)
    np.testing.assert_allclose(entropy_moments(counts, spread), 0, atol=1e-12)


def test_units_that_are_all_alike_have_one_law():
    counts = np.tile([1.0, 1.0], (50, 1))
    assert spread_of_people(counts).total == 1e6
    assert spread_of_people(np.array([[1.0, 0.0], [0.0, 1.0]])).total == 0.0  # no two people ever met


def world(*, units=150, items=("i",), seed=0, samples=6):
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(units):
        for item in items:
            truth = rng.dirichlet([0.6, 0.6, 0.6])
            rows += [(s, item, f"p{k}", rng.choice(3, p=truth), 1.0) for k in range(5)]
            rows += [(s, item, "sampled", rng.choice(3, p=truth), 1.0) for _ in range(samples)]
            rows += [(s, item, "truth", k, truth[k]) for k in range(3)]
            rows.append((s, item, "mode", int(truth.argmax()), 1.0))
    return pd.DataFrame(rows, columns=["s", "item", "judge", "x", "w"])


def table_of(frame, **options):
    return ps.ResponseTable.from_frame(
        frame, response="x", subject="s", item="item", facets="judge", weight="w", **options
    )


PEOPLE = [f"p{k}" for k in range(5)]


@pytest.fixture(scope="module")
def found():
    return ps.distribution_agreement(table_of(world()), ["truth", "sampled", "mode"], people=PEOPLE, draws=300)


def test_against_loops_over_units(found):
    frame = world()
    people, judge = [], []
    for _, part in frame.groupby("s"):
        labels = part.loc[part["judge"].isin(PEOPLE), "x"]
        said = part[part["judge"] == "sampled"]["x"]
        people.append([np.mean(labels == k) for k in range(3)])
        judge.append([np.mean(said == k) for k in range(3)])
    people, judge = np.array(people), np.array(judge)
    rows = found.frame[found.frame["judge"] == "sampled"].set_index("statistic")
    expected = distances(people, judge, np.arange(3.0), 0.01)
    np.testing.assert_allclose(rows.loc[list(STATISTICS), "value"], expected.mean(axis=0))
    noise = (1 - (people**2).sum(axis=1)) / 4
    assert rows.loc["squared distance, unbiased", "value"] == pytest.approx((expected[:, 3] - noise).mean())
    r = np.corrcoef(entropy(people), entropy(judge))[0, 1]
    assert rows.loc["entropy correlation", "value"] == pytest.approx(r)
    units = found.units[found.units["judge"] == "sampled"]
    np.testing.assert_allclose(units[["total_variation", "jensen_shannon"]], expected[:, :2])
    np.testing.assert_allclose(units["entropy_judge"], entropy(judge))


def test_perfect_judge_is_within_its_interval_and_the_mode_is_not(found):
    for judge, near in [("truth", True), ("mode", False)]:
        rows = found.frame[(found.frame["judge"] == judge) & found.frame["value"].notna()]
        inside = (rows["lower"] <= rows["perfect"]) & (rows["perfect"] <= rows["upper"])
        assert inside.all() if near else not inside.any()
    difference = found.frame.set_index(["judge", "statistic"]).loc[("mode", "entropy difference")]
    assert difference["upper"] < -0.5  # one label is far too sure


def test_one_label_per_unit_is_said(found):
    assert "'mode' gives one label per unit" in " ".join(found.notes)
    rows = found.frame[found.frame["value"].isna()]
    assert list(zip(rows["judge"], rows["statistic"], strict=True)) == [("mode", "entropy correlation")]
    assert "nan" not in str(found)
    assert "rests on uniform_share=0.01" in found._repr_html_()


def test_groups_and_missing_units():
    frame = world(items=("i", "j"), units=60)
    frame = frame[(frame["judge"] != "truth") | (frame["s"] < 40) | (frame["item"] == "i")]
    result = ps.distribution_agreement(table_of(frame), "truth", people=PEOPLE, by="item", draws=50)
    counts = result.frame.drop_duplicates("group").set_index("group")[["n_units", "n_subjects"]]
    assert counts.to_numpy().tolist() == [[100, 60], [60, 60], [40, 40]]
    alone = ps.distribution_agreement(table_of(frame[frame["item"] == "j"]), "truth", people=PEOPLE, draws=50)
    own = result.frame[result.frame["group"] == "j"]
    np.testing.assert_allclose(own["value"], alone.frame["value"])
    nowhere = frame[(frame["judge"] != "truth") | (frame["item"] == "i")]
    result = ps.distribution_agreement(table_of(nowhere), "truth", people=PEOPLE, by="item", draws=50)
    assert "item 'j': 'truth' labelled nothing there that people labelled" in result.notes
    assert set(result.frame["group"]) == {None, "i"}


def test_bootstrap_draws_subjects_and_not_units():
    """Copies of a subject's units change no interval; the spread is the closed form's."""
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(200), rng.normal(size=200)])

    def mean(sums):
        return sums[..., 1:] / sums[..., :1]

    value, once = over_subjects(x, np.arange(200), mean, draws=4000, seed=1)
    _, twice = over_subjects(np.repeat(x, 3, axis=0), np.repeat(np.arange(200), 3), mean, draws=4000, seed=1)
    np.testing.assert_allclose(once, twice)
    assert value == pytest.approx(x[:, 1].mean())
    assert once.std() == pytest.approx(x[:, 1].std() / np.sqrt(200), rel=4 / np.sqrt(2 * 4000))


def test_one_person_per_unit_is_said():
    frame = world(units=40)
    alone = frame[~frame["judge"].isin(PEOPLE) | (frame["judge"] == "p0") | (frame["s"] < 10)]
    result = ps.distribution_agreement(table_of(alone), "truth", people=PEOPLE, draws=50)
    assert "30 of 40 units have one person, who cannot disagree with anybody" in result.notes


def test_constant_labels():
    frame = world(units=30).assign(x=1)
    result = ps.distribution_agreement(table_of(frame, categories=[0, 1, 2]), "sampled", people=PEOPLE, draws=20)
    values = result.frame.set_index("statistic")["value"]
    np.testing.assert_allclose(values[list(STATISTICS[:4])], 0, atol=1e-12)
    assert np.isnan(values["entropy correlation"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"uniform_share": 0.0}, "uniform_share=0.0 is not a share"),
        ({"people": ["p0", "truth"]}, "cannot be one of the people"),
        ({"people": ["p0"]}, "people disagree only where there are at least two"),
        ({"people": PEOPLE, "level": 0}, "level=0 is not a coverage"),
        ({"people": PEOPLE, "by": "itme"}, "no facet 'itme'; did you mean 'item'"),
        ({}, "weights of people other than 0 and 1|labelled the same thing before"),
    ],
)
def test_what_cannot_be_compared_is_said(options, says):
    with pytest.raises(DataError, match=says):
        ps.distribution_agreement(table_of(world(units=10)), "truth", **options)
