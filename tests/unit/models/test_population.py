"""Groups and covariates of subjects, against a likelihood written a second time with SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

import psymetric as ps
from psymetric.errors import DataError, DesignError, IdentificationError

N, ITEMS = 240, 6
DIFFICULTY = np.array([-1.2, -0.6, 0.0, 0.2, 0.6, 1.0])
SLOPE, MEAN, SD = 0.05, {"de": 0.4, "fr": -0.5, "it": 0.0}, {"de": 0.8, "fr": 1.3, "it": 1.0}
NODES = np.linspace(-9, 9, 241)


def frame(*, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    language = np.array(list(MEAN))[np.arange(N) % 3]
    age = rng.integers(20, 60, N)
    theta = (
        np.array([MEAN[label] for label in language])
        + SLOPE * (age - 40)
        + np.array([SD[label] for label in language]) * rng.standard_normal(N)
    )
    right = rng.random((N, ITEMS)) < expit(theta[:, None] - DIFFICULTY)
    wide = pd.DataFrame(right.astype(int), columns=[f"i{k}" for k in range(ITEMS)])
    wide = wide.assign(person=[f"p{k}" for k in range(N)], language=language, age=age)
    return wide.melt(id_vars=["person", "language", "age"], var_name="item", value_name="score")


def table(rows: pd.DataFrame) -> ps.ResponseTable:
    return ps.ResponseTable.from_frame(
        rows, response="score", subject="person", item="item", facets=("language", "age")
    )


TABLE = table(frame())
X = np.array([TABLE.levels["age"][k] for k in TABLE.codes["age"]], float)


def by_subject(values: np.ndarray) -> np.ndarray:
    found = np.zeros(N, values.dtype)
    found[TABLE.codes["subject"]] = values
    return found


AGE, LANGUAGE = by_subject(X), by_subject(TABLE.codes["language"])
RIGHT = np.zeros((N, ITEMS))
RIGHT[TABLE.codes["subject"], TABLE.codes["item"]] = TABLE.response


def second_opinion(mean: np.ndarray, sd: np.ndarray, difficulty: np.ndarray, slope: np.ndarray) -> float:
    """Marginal log-likelihood on a fixed grid of abilities; `mean` and `sd` of every subject."""
    logit = slope * (NODES[:, None] - difficulty)
    log_p = RIGHT @ np.log(expit(logit)).T + (1 - RIGHT) @ np.log(expit(-logit)).T
    prior = -0.5 * ((NODES - mean[:, None]) / sd[:, None]) ** 2 - np.log(sd[:, None] * np.sqrt(2 * np.pi))
    return float(logsumexp(log_p + prior + np.log(NODES[1] - NODES[0]), axis=1).sum())


def unpack_rasch(free: np.ndarray) -> tuple[np.ndarray, ...]:
    """Three means, three log sds, a weight of age, and five difficulties."""
    difficulty = np.append(free[7:], -free[7:].sum())
    mean = free[:3][LANGUAGE] + free[6] * (AGE - AGE.mean())
    return mean, np.exp(free[3:6])[LANGUAGE], difficulty, np.ones(ITEMS)


def unpack_two_pl(free: np.ndarray) -> tuple[np.ndarray, ...]:
    """Two further means and log sds, difficulties and slopes: the first group is N(0, 1)."""
    mean, sd = np.append(0.0, free[:2]), np.append(1.0, np.exp(free[2:4]))
    return mean[LANGUAGE], sd[LANGUAGE], free[4:10], free[10:]


def assert_maximum(log_likelihood: float, unpack, point: np.ndarray) -> None:
    """The second likelihood has this value at the point, and is flat there."""
    assert second_opinion(*unpack(point)) == pytest.approx(log_likelihood, abs=1e-6)
    step = 1e-4 / np.maximum(1.0, 20 * (np.abs(point - SLOPE) < 0.03))
    for place in range(len(point)):
        move = step[place] * (np.arange(len(point)) == place)
        slope = (second_opinion(*unpack(point + move)) - second_opinion(*unpack(point - move))) / (2 * step[place])
        # Newton ended within 1e-6 of the maximum; information is under 1e5 for the weight of age, 100 for the others.
        assert abs(slope) < (0.1 if step[place] < 1e-4 else 1e-3), (place, slope)


def rasch_point(fit: ps.Fit) -> np.ndarray:
    parts = (fit.parameters["population_mean"], np.log(fit.parameters["population_sd"]))
    return np.concatenate([*parts, fit.parameters["covariate_weight"], fit.parameters["item"][:5]])


def test_groups_and_covariates_of_the_rasch_model():
    fit = ps.fit(ps.Rasch(population=ps.Population(covariates="age", groups="language")), TABLE)
    assert_maximum(fit.log_likelihood, unpack_rasch, rasch_point(fit))
    assert fit.n_parameters == 12
    frame = fit.estimates("population").set_index("level")
    means = [f"population_mean: {label}" for label in MEAN]
    assert list(frame.index) == ["covariate_weight: age", *means, *(name.replace("mean", "sd") for name in means)]
    np.testing.assert_array_equal(frame.loc[means, "estimate"], fit.parameters["population_mean"])


def test_standard_errors_are_those_of_the_second_likelihood():
    """From central differences of the second likelihood at the estimates."""
    fit = ps.fit(ps.Rasch(population=ps.Population(covariates=("age",), groups="language")), TABLE)
    point = rasch_point(fit)
    step, size = np.full(12, 1e-3), 12
    step[6] = 1e-5
    information = np.empty((size, size))
    for a in range(size):
        for b in range(size):
            moves = [point + s * step * (np.arange(size) == a) + t * step * (np.arange(size) == b)
                     for s in (1, -1) for t in (1, -1)]  # fmt: skip
            values = [second_opinion(*unpack_rasch(move)) for move in moves]
            information[a, b] = -(values[0] - values[1] - values[2] + values[3]) / (4 * step[a] * step[b])
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(fit.standard_errors["population_mean"], expected[:3], rtol=1e-4)
    np.testing.assert_allclose(
        fit.standard_errors["population_sd"] / fit.parameters["population_sd"], expected[3:6], rtol=1e-4
    )
    np.testing.assert_allclose(fit.standard_errors["covariate_weight"], expected[6:7], rtol=1e-4)


def test_the_first_group_fixes_the_scale_of_slopes():
    fit = ps.fit(ps.TwoPL(population=ps.Population(groups="language")), TABLE)
    free = (fit.parameters["population_mean"][1:], np.log(fit.parameters["population_sd"][1:]))
    point = np.concatenate([*free, fit.parameters["item"], fit.parameters["discrimination"]])
    assert_maximum(fit.log_likelihood, unpack_two_pl, point)
    assert fit.parameters["population_mean"][0] == 0
    assert fit.parameters["population_sd"][0] == 1
    assert fit.standard_errors["population_sd"][0] == 0


def test_labels_become_indicators():
    """Languages as a covariate are groups that share one sd."""
    fit = ps.fit(ps.Rasch(population=ps.Population(covariates=("language",))), TABLE)
    assert fit.levels["covariate_weight"] == ("language=fr", "language=it")

    def unpack(free: np.ndarray) -> tuple[np.ndarray, ...]:
        mean = free[:3][LANGUAGE]
        return mean, np.full(N, np.exp(free[3])), np.append(free[4:], -free[4:].sum()), np.ones(ITEMS)

    # The mean of all, to the means of the languages, of which each has a third of the subjects.
    weight = np.append(0.0, fit.parameters["covariate_weight"])
    means = fit.parameters["population_mean"] + weight - weight.mean()
    point = np.concatenate([means, [np.log(fit.parameters["population_sd"])], fit.parameters["item"][:5]])
    assert_maximum(fit.log_likelihood, unpack, point)


def test_units_of_a_covariate_change_nothing():
    """Years since 2000 times a thousand: far from zero, of another scale."""
    fit = ps.fit(ps.Rasch(population=ps.Population("age")), TABLE)
    other = table(frame().assign(age=lambda rows: 2_000_000 + 1_000 * rows["age"]))
    moved = ps.fit(ps.Rasch(population=ps.Population("age")), other)
    assert moved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(
        1_000 * moved.parameters["covariate_weight"], fit.parameters["covariate_weight"], rtol=1e-5
    )
    np.testing.assert_allclose(moved.parameters["population_mean"], fit.parameters["population_mean"], atol=1e-6)


@pytest.mark.parametrize("method", ["eap", "map"])
def test_scores_are_drawn_towards_each_subjects_own_mean(method):
    fit = ps.fit(ps.Rasch(population=ps.Population(covariates="age", groups="language")), TABLE)
    mean = fit.parameters["population_mean"][LANGUAGE] + fit.parameters["covariate_weight"] * (AGE - AGE.mean())
    sd = fit.parameters["population_sd"][LANGUAGE]
    logit = NODES[:, None] - fit.parameters["item"]
    log_p = RIGHT @ np.log(expit(logit)).T + (1 - RIGHT) @ np.log(expit(-logit)).T
    log_p = log_p - 0.5 * ((NODES - mean[:, None]) / sd[:, None]) ** 2
    mass = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    scores = ps.score(fit, TABLE, method=method).frame
    if method == "eap":
        np.testing.assert_allclose(scores["estimate"], mass @ NODES, atol=1e-6)
        np.testing.assert_allclose(scores["se"], np.sqrt(mass @ NODES**2 - (mass @ NODES) ** 2), atol=1e-6)
    else:
        mode = scores["estimate"].to_numpy()
        slope = (RIGHT - expit(mode[:, None] - fit.parameters["item"])).sum(axis=1) - (mode - mean) / sd**2
        # Modes are found to 1e-9 logits, and the slope falls by at most three per logit.
        np.testing.assert_allclose(slope, 0, atol=1e-8)


def test_new_subjects_are_scored_by_their_labels(tmp_path):
    """Coding of another table: languages and subjects in another number."""
    fit = ps.fit(ps.Rasch(population=ps.Population(covariates="age", groups="language")), TABLE)
    fit = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    rows = frame().query("language == 'it'")
    whole = ps.score(fit, TABLE).frame.set_index("subject")
    part = ps.score(fit, table(rows)).frame.set_index("subject")
    np.testing.assert_allclose(part["estimate"], whole.loc[part.index, "estimate"], atol=1e-9)
    with pytest.raises(DataError, match="'rm', which the fit does not know"):
        ps.score(fit, table(rows.assign(language="rm")))


@pytest.mark.parametrize(
    "engine", [ps.MAP(), ps.Laplace(draws=400), ps.NUTS(warmup=200, draws=1_000, chains=2)], ids=str
)
def test_engines_with_priors_agree(engine):
    """Priors are wide, so that modes and means lie within a third of a standard error of the maximum."""
    model = ps.Rasch(population=ps.Population(covariates="age", groups="language"))
    fit, other = ps.fit(model, TABLE), ps.fit(model, TABLE, engine=engine)
    for name in ("population_mean", "covariate_weight", "item"):
        away = (other.parameters[name] - fit.parameters[name]) / fit.standard_errors[name]
        assert np.abs(away).max() < 0.33, name


def test_bad_input():
    rows = frame()
    varying, twice = (
        table(rows.assign(age=rows["age"].where(rows.index != 7, 99))),
        table(rows.assign(age=rows["language"])),
    )
    with pytest.raises(DataError, match="constant within each subject, but 1 of 240 have"):
        ps.fit(ps.Rasch(population=ps.Population("age")), varying)
    with pytest.raises(DataError, match="the model reads column 'sex', which the table does not have"):
        ps.fit(ps.Rasch(population=ps.Population("sex")), TABLE)
    with pytest.raises(DataError, match="'age' is the same for every subject"):
        ps.fit(ps.Rasch(population=ps.Population("age")), table(rows.assign(age=3)))
    with pytest.raises(DataError, match="not independent of each other and of its groups"):
        ps.fit(ps.Rasch(population=ps.Population("age", groups="language")), twice)
    with pytest.raises(DataError, match="has one level"):
        ps.fit(ps.Rasch(population=ps.Population(groups="language")), table(rows.query("language == 'de'")))
    with pytest.raises(DesignError, match="reads facet 'item' itself"):
        ps.fit(ps.Rasch(population=ps.Population(groups="item")), TABLE)
    for engine in (ps.JointML(), ps.ConditionalML()):
        with pytest.raises(DesignError, match="use MarginalML"):
            ps.fit(ps.Rasch(population=ps.Population(groups="language")), TABLE, engine=engine)
    with pytest.raises(DesignError, match="name each column once"):
        ps.Population(("age", "age"))
    with pytest.raises(DesignError, match="has the unknown setting 'group': it takes"):
        ps.Rasch(population={"group": "language"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(DesignError, match="is no population"):
        ps.Rasch(population="language")  # pyright: ignore[reportArgumentType]


def test_what_needs_one_population_says_so():
    fit = ps.fit(ps.Rasch(population=ps.Population(groups="language")), TABLE)
    for ask in (ps.limited_information, ps.item_fit, lambda fit, table: ps.score(fit, table, method="sum_eap")):
        with pytest.raises(DesignError, match="needs one population"):
            ask(fit, TABLE)
    assert np.isfinite(ps.fit_statistics(fit, TABLE)["infit"]).all()


def test_a_name_is_no_covariate():
    """An indicator for each of five thousand subjects would fill the memory before it explained anything."""
    rows = pd.DataFrame({"person": [f"p{k}" for k in range(5_000)] * 2, "item": ["a"] * 5_000 + ["b"] * 5_000})
    rows = rows.assign(name=rows["person"], score=np.arange(10_000) % 2)
    many = ps.ResponseTable.from_frame(rows, response="score", subject="person", item="item", facets=("name",))
    with pytest.raises(DataError, match="'name' has 5,000 labels that are no numbers"):
        ps.fit(ps.Rasch(population=ps.Population("name")), many)


def test_a_group_without_spread_is_named():
    """All subjects of the group have two or three of five right: less spread than chance alone makes."""
    rng = np.random.default_rng(1)
    logit = rng.normal(0, 1.2, 100)[:, None] - np.linspace(-1, 1, 5)
    right = np.concatenate([rng.random((100, 5)) < expit(logit), [(np.arange(5) + k) % 2 == 1 for k in range(100)]])
    wide = pd.DataFrame(right.astype(int)).assign(person=range(200), group=np.repeat(["a", "b"], 100))
    rows = wide.melt(id_vars=["person", "group"], var_name="item", value_name="score")
    table_ = ps.ResponseTable.from_frame(rows, response="score", subject="person", item="item", facets=("group",))
    with pytest.raises(IdentificationError, match=r"sd of the subjects runs to zero in 'b' \(sd 0\.0\d+\) of 'group'"):
        ps.fit(ps.Rasch(population=ps.Population(groups="group")), table_)
