"""Maps to people's scale, held to other programs and to second implementations."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from statsmodels.miscmodels.ordinal_model import OrderedModel

import psymetric as ps

NO_PRIOR = 1e3
"""Logits: a prior this wide moves an estimate by less than the tolerances below."""
SAME_OPTIMUM = 2e-4
"""Of probabilities, between optimizers that stop by their own rules."""
Q = ["q0", "q1", "q2", "q3"]
METHODS = {
    "isotonic": {"judge": "score"},
    "ordinal": {"judge": ["score", "second"], "effect": "person"},
    "temperature": {"judge": Q},
    "vector": {"judge": Q},
    "dirichlet": {"judge": Q},
}
each_method = pytest.mark.parametrize("method", METHODS)


def rated(n: int = 400, *, k: int = 4, per_group: int = 4, sd: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Labels 1…k of texts, each by several people; the judge's scores, and probabilities that are too sharp."""
    rng = np.random.default_rng(seed)
    text = np.arange(n) // per_group
    quality = rng.normal(size=text.max() + 1)[text]
    person = rng.integers(20, size=n)
    severity = sd * rng.normal(size=20)
    latent = logit(rng.random(n)) + 1.2 * quality + severity[person]
    label = 1 + (latent[:, None] > np.linspace(-1.5, 1.5, k - 1)).sum(axis=1)
    seen = quality + 0.6 * rng.normal(size=n)
    shares = softmax(-1.5 * (np.arange(k) - (k - 1) / 2 - seen[:, None]) ** 2, axis=1)
    second = quality + rng.normal(size=n)
    frame = pd.DataFrame({"text": text, "person": person, "label": label, "score": seen, "second": second})
    return frame.assign(**{f"q{j}": shares[:, j] for j in range(k)})


def calibrated(frame: pd.DataFrame, method: str, **settings: object) -> ps.CalibrationMap:
    return ps.calibrate(frame, label="label", method=method, group="text", **{**METHODS[method], **settings})


def columns(found: ps.CalibrationMap, rows: pd.DataFrame) -> np.ndarray:
    return found.predict(rows)[found.probability_columns].to_numpy()


def log_probabilities(frame: pd.DataFrame) -> np.ndarray:
    raised = np.maximum(frame[Q].to_numpy(), 1e-6)
    return np.log(raised / raised.sum(axis=1, keepdims=True))


def test_isotonic_map_is_sklearns_of_every_event() -> None:
    frame = rated()
    frame["score"] = frame["score"].round(1)
    found, new = calibrated(frame, "isotonic"), pd.DataFrame({"score": np.linspace(-4, 4, 41)})
    for k in range(1, 4):
        theirs = IsotonicRegression(out_of_bounds="clip").fit(frame["score"], frame["label"] > k)
        for rows in (frame, new):
            want = theirs.predict(rows["score"])
            np.testing.assert_allclose(columns(found, rows)[:, k:].sum(axis=1), want, atol=1e-12)


def test_isotonic_map_is_the_greatest_of_least_means() -> None:
    """Barlow et al. (1972): the fit at i is the maximum over a ≤ i of the minimum over b ≥ i of the mean of a…b."""
    frame = rated(60).sort_values("score")
    got = columns(calibrated(frame, "isotonic"), frame)
    for k in range(1, 4):
        y = (frame["label"] > k).to_numpy(float)
        sums, n = np.concatenate([[0], np.cumsum(y)]), len(y)
        for i in range(0, n, 7):
            want = max(min((sums[b] - sums[a]) / (b - a) for b in range(i + 1, n + 1)) for a in range(i + 1))
            assert got[i, k:].sum() == pytest.approx(want, abs=1e-12)


def test_ordinal_map_is_statsmodels_ordered_model() -> None:
    frame = rated()
    found = calibrated(frame, "ordinal", effect=None, prior_sd=NO_PRIOR)
    model = OrderedModel(frame["label"], frame[["score", "second"]], distr="logit")
    theirs = model.fit(method="newton", disp=False, tol=1e-10)
    # Theirs are the first threshold and the log increments.
    thresholds = model.transform_threshold_params(theirs.params.to_numpy()[2:])[1:-1]
    np.testing.assert_allclose(found.fitted.slopes, theirs.params.to_numpy()[:2], atol=1e-5)
    np.testing.assert_allclose(found.fitted.thresholds, thresholds, atol=1e-5)
    np.testing.assert_allclose(columns(found, frame), theirs.predict(), atol=1e-6)


def test_platt_map_and_its_clustered_error_are_logistic_regressions() -> None:
    frame = rated(k=2, seed=3)
    found = ps.calibrate(frame, judge="q1", label="label", method="platt", group="text", prior_sd=NO_PRIOR)
    x = sm.add_constant(logit(frame["q1"].clip(1e-6, 1 - 1e-6)).to_numpy())
    theirs = sm.Logit(frame["label"] - 1, x).fit(
        disp=False, tol=1e-12, cov_type="cluster", cov_kwds={"groups": frame["text"], "use_correction": False}
    )
    shares = np.asarray(theirs.predict())
    np.testing.assert_allclose(columns(found, frame)[:, 1], shares, atol=1e-6)
    n_groups = frame["text"].nunique()
    covariance = np.asarray(theirs.cov_params()) * n_groups / (n_groups - 1)
    slope = (shares * (1 - shares))[:, None] * x
    want = np.sqrt(np.einsum("ij,jk,ik->i", slope, covariance, slope))
    np.testing.assert_allclose(found.predict(frame)["se"], want, rtol=1e-4)


def test_temperature_is_the_minimum_of_the_log_loss() -> None:
    frame = rated()
    found = calibrated(frame, "temperature", prior_sd=NO_PRIOR)
    logs, rows = log_probabilities(frame), np.arange(len(frame))

    def loss(inverse: float) -> float:
        return -float(log_softmax(inverse * logs, axis=1)[rows, frame["label"] - 1].sum())

    want = minimize_scalar(loss, bounds=(0.01, 3), method="bounded", options={"xatol": 1e-10}).x
    np.testing.assert_allclose(np.diag(found.fitted.weights[:, :4]), want, atol=1e-5)
    # Guo et al. (2017): one temperature leaves the order of the categories alone.
    np.testing.assert_array_equal(columns(found, frame).argmax(axis=1), logs.argmax(axis=1))


def test_dirichlet_map_is_multinomial_regression_on_log_probabilities() -> None:
    # Log probabilities of moderate size: without a prior, sharp ones can be told apart perfectly.
    frame = rated(seed=8)
    shares = softmax(np.log(np.maximum(frame[Q], 1e-6)).to_numpy() / 8, axis=1)
    shares = shares * np.random.default_rng(1).uniform(0.5, 1, shares.shape)
    frame[Q] = shares / shares.sum(axis=1, keepdims=True)
    found = calibrated(frame, "dirichlet", prior_sd=NO_PRIOR, repeats=1)
    logs = log_probabilities(frame)
    theirs = LogisticRegression(C=np.inf, max_iter=5_000, tol=1e-9, solver="newton-cg").fit(logs, frame["label"])
    np.testing.assert_allclose(columns(found, frame), theirs.predict_proba(logs), atol=SAME_OPTIMUM)


@pytest.mark.parametrize("method", ["vector", "dirichlet"])
def test_prior_pulls_to_the_judge(method: str) -> None:
    """The penalised optimum is scipy's over the free weights; a narrow prior leaves the judge as it is."""
    frame = rated(200)
    logs, target = log_probabilities(frame), np.eye(4)[frame["label"] - 1]
    free = np.eye(4, 5, dtype=bool) if method == "vector" else np.ones((4, 5), bool)
    free[:, 4] = True

    def weights(at: np.ndarray) -> np.ndarray:
        moved = np.eye(4, 5)
        moved[free] += at
        return moved

    def loss(at: np.ndarray) -> float:
        w = weights(at)
        return float(at @ at) / (2 * 0.3**2) - float((target * log_softmax(logs @ w[:, :4].T + w[:, 4], axis=1)).sum())

    best = minimize(loss, np.zeros(free.sum()), method="BFGS", options={"gtol": 1e-3}).x
    found = calibrated(frame, method, prior_sd=0.3, repeats=1)
    np.testing.assert_allclose(found.fitted.weights, weights(best), atol=1e-4)
    unmoved = calibrated(frame, method, prior_sd=1e-4, repeats=1)
    np.testing.assert_allclose(columns(unmoved, frame), np.exp(logs), atol=1e-4)


def test_shifts_of_people_are_the_mode_at_the_most_likely_sd() -> None:
    """The mode is scipy's at the same sd; the sd is near the maximum by quadrature, which has no approximation."""
    frame = rated(600, sd=0.8, seed=5)
    found = calibrated(frame, "ordinal", judge="score", repeats=1).fitted
    x, y, person = frame["score"].to_numpy(), frame["label"].to_numpy(), frame["person"].to_numpy()

    def cells(at: np.ndarray, shift: np.ndarray) -> np.ndarray:
        ends = np.concatenate([[-np.inf], np.sort(at[:3]), [np.inf]])
        eta = at[3] * x + shift
        return np.log(expit(ends[y] - eta) - expit(ends[y - 1] - eta))

    def loss(at: np.ndarray) -> float:
        penalty = float(at[4:] @ at[4:]) / found.effect_sd**2 + (at[3] * x.std() / 2.5) ** 2
        return penalty / 2 - float(cells(at, at[4:][person]).sum())

    start = np.concatenate([[-1.0, 0.0, 1.0, 0.5], np.zeros(20)])
    best = minimize(loss, start, method="BFGS", options={"gtol": 1e-3}).x
    np.testing.assert_allclose(found.thresholds, best[:3], atol=1e-3)
    np.testing.assert_allclose(found.effects, best[4:], atol=1e-3)

    nodes, weights = np.polynomial.hermite_e.hermegauss(31)

    def marginal(at: np.ndarray) -> float:
        by_node = np.array([np.bincount(person, cells(at, np.full(600, np.exp(at[4]) * node)), 20) for node in nodes])
        return -float(np.log(np.exp(by_node).T @ (weights / weights.sum())).sum())

    exact = minimize(marginal, np.append(best[:4], np.log(found.effect_sd)), method="BFGS", options={"gtol": 1e-2}).x
    # Laplace's method errs by about the inverse of the 30 labels of a person.
    assert found.effect_sd == pytest.approx(np.exp(exact[4]), rel=1 / 30)
    np.testing.assert_allclose([*found.thresholds, *found.slopes], exact[:4], atol=0.05)


def test_unknown_person_is_the_average_one() -> None:
    found = calibrated(rated(600, sd=0.8, seed=5), "ordinal", judge="score", repeats=1)
    new = pd.DataFrame({"score": [-1.0, 0.3], "person": [99, 3]})
    got, parts = found.predict(new), found.fitted
    assert got["effect_known"].tolist() == [False, True]
    for row, (mean, sd) in enumerate([(0, parts.effect_sd), (parts.effects[3], parts.effect_spread[3])]):
        place = parts.thresholds[1] - parts.slopes[0] * new["score"][row]

        def mixed(u: float, place: float = place, mean: float = mean, sd: float = sd) -> float:
            return float(expit(place - u) * norm.pdf(u, mean, sd))

        # The tails beyond four standard deviations hold 6e-5.
        assert got[["p_1", "p_2"]].iloc[row].sum() == pytest.approx(quad(mixed, -9, 9)[0], abs=1e-4)
    without = found.predict(new.drop(columns="person"))
    assert not without["effect_known"].any()
    assert without["p_1"].iloc[0] == got["p_1"].iloc[0]


@pytest.mark.thorough
@each_method
def test_standard_error_is_that_of_other_samples_of_texts(method: str) -> None:
    """Beside refits to resampled texts, which share no line with the delta method."""
    frame = rated(800, seed=6)
    frame["score"] = frame["score"].round(1)
    new = frame.iloc[[3, 50, 111, 200]].drop(columns="person")
    rng, draws, texts = np.random.default_rng(0), 100, frame["text"].unique()
    rows = dict(list(frame.groupby("text")))
    settings = {"folds": 2, "repeats": 1, "draws": 2}
    if method == "ordinal":
        settings["effect"] = None
    found = []
    for _ in range(draws):
        drawn = pd.concat([rows[text].assign(text=place) for place, text in enumerate(rng.choice(texts, len(texts)))])
        found.append(calibrated(drawn, method, **settings).predict(new)["calibrated"].to_numpy())
    got = calibrated(frame, method, **{**settings, "draws": 1_000}).predict(new)["se"].to_numpy()
    # Four Monte Carlo standard errors of a standard deviation of 100 numbers, relative.
    np.testing.assert_allclose(got, np.std(found, axis=0, ddof=1), rtol=4 / np.sqrt(2 * draws))


@each_method
def test_no_row_calibrates_itself(method: str) -> None:
    """Other labels of a text change nothing in what is predicted of it out of fold, and something elsewhere."""
    frame = rated(160)
    changed = frame.copy()
    mine = frame["text"] == 7
    changed.loc[mine, "label"] = 5 - changed.loc[mine, "label"]
    one, other = (calibrated(f, method).out_of_fold for f in (frame, changed))
    np.testing.assert_array_equal(one.loc[mine, "calibrated"], other.loc[mine, "calibrated"])
    assert (one.loc[~mine, "calibrated"] != other.loc[~mine, "calibrated"]).any()


@each_method
def test_order_of_rows_does_not_matter(method: str) -> None:
    frame = rated(160)
    mixed = frame.sample(frac=1, random_state=2)
    one, other = (calibrated(f, method, repeats=1).out_of_fold for f in (frame, mixed))
    there = other.set_index(mixed.index).sort_index()
    # The sd of an effect is found to 1e-4 of its logarithm.
    np.testing.assert_allclose(one["calibrated"], there["calibrated"], atol=1e-4)


@each_method
def test_record_is_strict_json_and_comes_back(method: str) -> None:
    frame = rated(160)
    found = calibrated(frame, method, repeats=2)
    again = ps.CalibrationMap.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(again.predict(frame), found.predict(frame))
    pd.testing.assert_frame_equal(again.out_of_fold, found.out_of_fold, check_dtype=False)
    assert str(again) == str(found)
    assert again.to_dict() == found.to_dict()


@each_method
def test_prediction_is_a_distribution_with_its_mean_in_its_intervals(method: str) -> None:
    frame = rated(160, sd=0.5)
    got = calibrated(frame, method, repeats=1).predict(frame)
    shares = got[["p_1", "p_2", "p_3", "p_4"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)
    assert shares.min() >= 0
    np.testing.assert_allclose(got["calibrated"], shares @ [1, 2, 3, 4], atol=1e-12)
    assert got["calibrated"].between(got["lower"], got["upper"]).all()
    ranges = got[["label_lower", "label_upper"]].to_numpy()
    assert min(shares[i, low - 1 : high].sum() for i, (low, high) in enumerate(ranges)) >= 0.95 - 1e-9


def test_judge_too_sharp_by_a_known_factor_is_found_out() -> None:
    """The temperature comes back within four of its standard errors."""
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(4_000, 3))
    label = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    frame = pd.DataFrame(softmax(2.5 * logits, axis=1), columns=list("abc")).assign(label=label)
    found = ps.calibrate(frame, judge=list("abc"), label="label", method="temperature", repeats=1)
    assert abs(found.fitted.weights[0, 0] - 1 / 2.5) < 4 * np.sqrt(found.fitted.covariance[0, 0])
