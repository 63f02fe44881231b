"""Calibration errors, Brier and its parts, log loss: other programs, closed forms and naive loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

import psymetric as ps
from psymetric.calibration.event_scores import BinSums, debiased_error, debiased_square, equal_bins, quantile_bins
from psymetric.errors import DataError

EXACT = 1e-12


def forecasts(n: int = 300, *, sharp: float = 2.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 2, n)
    odds = (truth / (1 - truth)) ** sharp
    return pd.DataFrame({"p": odds / (1 + odds), "y": (rng.random(n) < truth).astype(int), "g": np.arange(n) // 3})


def quality(frame: pd.DataFrame, **settings: object) -> ps.CalibrationQuality:
    return ps.calibration_quality(frame, label="y", probabilities="p", **{"draws": 20, **settings})


def test_brier_and_log_loss_are_sklearns() -> None:
    frame = forecasts()
    found = quality(frame)
    assert found.value("Brier") == pytest.approx(brier_score_loss(frame["y"], frame["p"]), abs=EXACT)
    assert found.value("log loss") == pytest.approx(log_loss(frame["y"], frame["p"]), abs=EXACT)


@pytest.mark.parametrize(("statistic", "bin_of"), [("ECE equal width", equal_bins), ("ECE quantile", quantile_bins)])
def test_calibration_error_is_the_sum_over_bins(statistic: str, bin_of) -> None:
    frame = forecasts()
    place = bin_of(frame["p"].to_numpy(), 10).place
    want = sum(len(rows) * abs(rows["p"].mean() - rows["y"].mean()) for _, rows in frame.groupby(place)) / len(frame)
    assert quality(frame).value(statistic) == pytest.approx(want, abs=EXACT)


@pytest.mark.parametrize(("strategy", "bin_of"), [("uniform", equal_bins), ("quantile", quantile_bins)])
def test_bins_are_sklearns(strategy: str, bin_of) -> None:
    frame = forecasts(200)
    # Theirs of quantiles lie between two forecasts; ours at one: with 200 distinct forecasts the rows are the same.
    shares, means = calibration_curve(frame["y"], frame["p"], n_bins=10, strategy=strategy)
    rows = frame.groupby(bin_of(frame["p"].to_numpy(), 10).place)
    np.testing.assert_allclose(rows["y"].mean(), shares, atol=EXACT)
    np.testing.assert_allclose(rows["p"].mean(), means, atol=EXACT)


def test_bins_at_their_ends() -> None:
    assert equal_bins(np.array([0.0, 0.1, 0.10001, 0.5, 1.0]), 10).place.tolist() == [0, 0, 1, 4, 9]
    tied = quantile_bins(np.repeat([0.2, 0.9], [90, 10]), 10)
    assert tied.count == 2
    assert np.bincount(tied.place).tolist() == [90, 10]


@pytest.mark.parametrize("rounded", [1, 15])
def test_parts_of_the_brier_score_add_up(rounded: int) -> None:
    """With one forecast per bin Murphy's three parts suffice; else the rest is what the bins leave."""
    frame = forecasts()
    frame["p"] = frame["p"].round(rounded)
    found = quality(frame, bins=1_000 if rounded == 1 else 10)
    get = found.value
    murphy = get("reliability") - get("resolution") + get("uncertainty")
    assert murphy + get("within bins") == pytest.approx(get("Brier"), abs=EXACT)
    corp = get("miscalibration") - get("discrimination") + get("uncertainty")
    assert corp == pytest.approx(get("Brier"), abs=EXACT)
    if rounded == 1:
        assert get("within bins") == pytest.approx(0, abs=EXACT)
    else:
        place = quantile_bins(frame["p"].to_numpy(), 10).place
        left = sum(
            len(rows) * (rows["p"].var(ddof=0) - 2 * np.cov(rows["p"], rows["y"], ddof=0)[0, 1])
            for _, rows in frame.groupby(place)
        )
        assert get("within bins") == pytest.approx(left / len(frame), abs=EXACT)


def test_miscalibration_is_what_isotonic_recalibration_gains() -> None:
    frame = forecasts()
    better = IsotonicRegression().fit(frame["p"], frame["y"]).predict(frame["p"])
    gain = brier_score_loss(frame["y"], frame["p"]) - brier_score_loss(frame["y"], better)
    assert quality(frame).value("miscalibration") == pytest.approx(gain, abs=EXACT)


def test_debiased_square_is_unbiased() -> None:
    """Its mean over all outcomes of two bins, exactly, is the squared distance from the true shares."""
    forecast, truth, n = np.array([0.3, 0.8]), np.array([0.45, 0.6]), np.array([5, 9])
    mean = 0.0
    for first in range(n[0] + 1):
        for second in range(n[1] + 1):
            sums = BinSums(n.astype(float), forecast, np.array([first, second]) / n, np.zeros(2))
            mean += float(np.prod(binom.pmf([first, second], n, truth))) * debiased_square(sums)
    assert mean == pytest.approx(n @ (forecast - truth) ** 2 / n.sum(), abs=EXACT)


def test_debiased_error_takes_off_what_normal_shares_add() -> None:
    """Kumar et al. draw the shares; ours is the mean of such draws."""
    n, forecast, seen = np.array([40.0, 60.0]), np.array([0.3, 0.7]), np.array([0.4, 0.62])
    draws = norm.rvs(seen, np.sqrt(seen * (1 - seen) / n), (100_000, 2), random_state=0)
    gaps = (np.abs(forecast - draws) - np.abs(forecast - seen)) @ n / n.sum()
    want = np.abs(forecast - seen) @ n / n.sum() - gaps.mean()
    got = debiased_error(BinSums(n, forecast, seen, np.zeros(2)))
    assert abs(got - want) < 4 * gaps.std() / np.sqrt(len(gaps))


def test_error_of_a_calibrated_forecast_is_the_binomials() -> None:
    """All forecasts one half: the error is how far a binomial share lies from it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"p": np.full(100, 0.5), "y": rng.integers(0, 2, 100)})
    found = quality(frame, draws=2_000).frame.set_index("statistic")
    counts = np.arange(101)
    gap, chance = np.abs(counts / 100 - 0.5), binom.pmf(counts, 100, 0.5)
    mean = gap @ chance
    sd = np.sqrt(gap**2 @ chance - mean**2)
    assert abs(found.loc["ECE quantile", "if_calibrated"] - mean) < 4 * sd / np.sqrt(2_000)
    # The 95% quantile of the gap is 10 in 100, by the binomial's distribution function.
    assert found.loc["ECE quantile", "if_calibrated_upper"] == pytest.approx(0.1)


def test_categories_have_an_event_each_and_scores_of_all() -> None:
    rng = np.random.default_rng(2)
    shares = rng.dirichlet([1, 2, 1], 200)
    label = np.array(["low", "mid", "high"])[[rng.choice(3, p=p) for p in shares]]
    frame = pd.DataFrame(shares, columns=["a", "b", "c"]).assign(y=label)
    found = ps.calibration_quality(
        frame, label="y", probabilities=["a", "b", "c"], categories=["low", "mid", "high"], draws=10
    )
    codes = np.array([["low", "mid", "high"].index(name) for name in label])
    assert found.frame["event"].unique().tolist() == ["≥ mid", "≥ high", "all categories"]
    assert found.value("log loss", event="all categories") == pytest.approx(log_loss(codes, shares), abs=EXACT)
    brier = ((shares - np.eye(3)[codes]) ** 2).sum(axis=1).mean()
    assert found.value("Brier", event="all categories") == pytest.approx(brier, abs=EXACT)
    ranked = ((np.cumsum(shares, axis=1) - np.cumsum(np.eye(3)[codes], axis=1)) ** 2).sum(axis=1).mean()
    assert found.value("ranked probability score") == pytest.approx(ranked, abs=EXACT)
    assert found.value("Brier", event="≥ high") == pytest.approx(brier_score_loss(codes == 2, shares[:, 2]), abs=EXACT)


def test_interval_of_a_mean_is_the_bootstrap_over_groups() -> None:
    """Copies of a row in its group add nothing: the interval is that of one row each."""
    frame = forecasts(150).assign(g=np.arange(150))
    copied = pd.concat([frame] * 4)
    one, four = (quality(f, group="g", draws=200).frame.set_index("statistic") for f in (frame, copied))
    assert one.loc["Brier", "lower"] == pytest.approx(four.loc["Brier", "lower"])
    assert one.loc["log loss", "upper"] == pytest.approx(four.loc["log loss", "upper"])
    loss = (frame["p"] - frame["y"]) ** 2
    width = one.loc["Brier", "upper"] - one.loc["Brier", "lower"]
    assert width == pytest.approx(2 * 1.96 * loss.std() / np.sqrt(150), rel=4 / np.sqrt(2 * 200))


@pytest.mark.thorough
def test_intervals_cover_the_error_of_the_forecaster() -> None:
    """True squared error over quantile bins and Brier score from a large sample; 99.9% binomial band at 95%, and
    what the basic bootstrap of the errors reaches."""
    whole = forecasts(400_000, seed=9)
    truth = quality(whole, draws=2).frame.set_index("statistic")["value"]
    covered = {"Brier": 0, "log loss": 0, "squared calibration error debiased": 0, "ECE debiased": 0}
    runs = 150
    for run in range(runs):
        found = quality(forecasts(400, seed=100 + run), draws=100).frame.set_index("statistic")
        for name in covered:
            covered[name] += found.loc[name, "lower"] <= truth[name] <= found.loc[name, "upper"]
    low = binom.ppf(0.0005, runs, 0.93)  # percentiles of 100 draws reach 93 to 95%
    assert covered["Brier"] >= low
    assert covered["log loss"] >= low
    assert covered["squared calibration error debiased"] >= low
    assert covered["ECE debiased"] >= low


def test_map_is_judged_out_of_fold() -> None:
    rng = np.random.default_rng(1)
    frame = forecasts().assign(score=lambda f: f["p"] + rng.normal(size=300) / 10)
    found = ps.calibrate(frame, judge="p", label="y", method="platt", group="g")
    rows = found.out_of_fold
    by_map = ps.calibration_quality(found, draws=20)
    by_frame = ps.calibration_quality(rows, label="label", probabilities="p_1", group="group", draws=20)
    pd.testing.assert_frame_equal(by_map.frame, by_frame.frame)
    assert by_map.n_groups == 100
    with pytest.raises(DataError, match="a map has its own labels and predictions"):
        ps.calibration_quality(found, label="y")


def test_infinite_log_loss_is_said() -> None:
    found = quality(pd.DataFrame({"p": [0.0, 0.5, 1.0], "y": [1, 0, 1]}))
    assert found.value("log loss") == np.inf
    assert "something happened that had probability zero" in str(found)
    with pytest.raises(DataError, match="0 rows of statistic 'brier'"):
        found.value("brier")


@pytest.mark.parametrize(
    ("change", "settings", "says"),
    [
        ({"p": 1.2}, {}, r"hold numbers outside \[0, 1\] \(3 of 3 rows"),
        ({"p": [0.1, np.nan, 0.2]}, {}, "no finite number"),
        ({"y": 1}, {}, "every response in 'y' is 1"),
        ({}, {"bins": 0}, "ask for 1 bin"),
        ({}, {"draws": 1}, "draws=1"),
        ({}, {"label": "z"}, "no column 'z'"),
        ({}, {"probabilities": ["p", "y"], "categories": [0, 1, 2]}, "2 columns of probabilities .* for 3 categories"),
        ({"g": 1}, {"group": "g"}, "a single g has no interval"),
        ({}, {"probabilities": None}, "name the columns of a frame"),
    ],
)
def test_refused(change: dict[str, object], settings: dict[str, object], says: str) -> None:
    frame = pd.DataFrame({"p": [0.2, 0.5, 0.9], "y": [0, 1, 1]}).assign(**change)
    with pytest.raises(DataError, match=says):
        ps.calibration_quality(frame, **{"label": "y", "probabilities": "p", **settings})


def test_one_class_is_read_where_the_categories_are_known() -> None:
    frame = pd.DataFrame({"p": [0.2, 0.5, 0.9], "y": [1, 1, 1]})
    found = quality(frame, categories=[0, 1])
    assert found.value("uncertainty") == 0
    assert found.value("resolution") == 0
    assert found.value("log loss") == pytest.approx(-np.log([0.2, 0.5, 0.9]).mean())


def test_reliability_bands_are_the_binomials() -> None:
    """Equal forecasts: curve and bin are one share, their band the binomial's quantiles."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"p": np.full(50, 0.3), "y": (rng.random(50) < 0.3).astype(int)})
    found = ps.reliability_diagram(frame, label="y", probabilities="p", draws=4_000)
    want = binom.ppf([0.025, 0.975], 50, 0.3) / 50
    for rows in (found.curve, found.bins):
        assert rows["share"].tolist() == [frame["y"].mean()]
        # One step of the binomial: where the quantile falls on a step, the draws may fall on the next.
        np.testing.assert_allclose(rows[["lower", "upper"]].to_numpy()[0], want, atol=1 / 50 + EXACT)


def test_reliability_curve_is_isotonic_and_bands_hold_calibrated_forecasts() -> None:
    frame = forecasts(400)
    found = ps.reliability_diagram(frame, label="y", probabilities="p", draws=200)
    theirs = IsotonicRegression().fit(frame["p"], frame["y"])
    np.testing.assert_allclose(found.curve["share"], theirs.predict(found.curve["forecast"]), atol=EXACT)
    # A judge twice too sharp is seen in some bin; a calibrated one stays inside in 95% of them.
    assert (found.bins["share"].to_numpy() < found.bins["lower"]).any()
    inside = []
    for seed in range(20):
        calibrated = forecasts(400, sharp=1.0, seed=seed)
        bins = ps.reliability_diagram(calibrated, label="y", probabilities="p", draws=200).bins
        inside.append(bins["share"].between(bins["lower"], bins["upper"]).sum())
    low, high = binom.ppf([0.0005, 0.9995], 200, [0.93, 0.98])  # steps of 1/40 widen the band by what they hold
    assert low <= sum(inside) <= high
