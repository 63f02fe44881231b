"""The bootstrap against fits of copied tables, exact and sandwich errors, and closed forms."""

from __future__ import annotations

import engine_cases
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import psymetric as ps
from psymetric.errors import ConvergenceError, DataError, DesignError
from psymetric.estimation import pair_replicates, replicates
from psymetric.estimation.bootstrap import bootstrap, corrected_intervals, percentile_intervals
from psymetric.estimation.replicates import refit
from psymetric.estimation.resampling import Resampler, Weights, present_rows, resampler, with_copies
from psymetric.estimation.robust import robust_errors

SAME_MODE = 2e-6  # both stop within a Newton step of 1e-6 logits
N_SUBJECTS, N_DRAWS = 300, 120
N_VOTES, N_VOTE_DRAWS = 1_200, 1_500
WORTH = np.array([0.9, 0.3, -0.2, -1.0])


def band(n_draws: int, n_units: float = np.inf) -> float:
    """Four standard errors of the ratio of an sd over `n_draws` draws to one estimated from `n_units` units."""
    return 4 * np.sqrt(1 / (2 * n_draws) + 1 / (2 * n_units))


@pytest.fixture(scope="module")
def ratings() -> ps.ResponseTable:
    """Dichotomous responses of the Rasch model: five items, so that mean and sd are known well enough."""
    rng = np.random.default_rng(12)
    difficulty = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    chance = 1 / (1 + np.exp(difficulty - rng.normal(0.2, 1.3, N_SUBJECTS)[:, None]))
    rows = pd.DataFrame(
        [(f"s{s}", f"i{i}", int(rng.random() < chance[s, i])) for s in range(N_SUBJECTS) for i in range(5)],
        columns=["subject", "item", "rating"],
    )
    return ps.ResponseTable.from_frame(rows, response="rating", subject="subject", item="item")


@pytest.fixture(scope="module")
def rasch(ratings) -> ps.Fit:
    return ps.fit(ps.Rasch(), ratings)


@pytest.fixture(scope="module")
def votes() -> ps.PairTable:
    rng = np.random.default_rng(3)
    pairs = np.array([(a, b) for a in range(4) for b in range(4) if a != b])[rng.integers(0, 12, N_VOTES)]
    won = rng.random(N_VOTES) < 1 / (1 + np.exp(WORTH[pairs[:, 1]] - WORTH[pairs[:, 0]] - 0.2))
    rows = pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "who": np.where(won, "left", "right")})
    return ps.PairTable.from_frame(
        rows.assign(judge=rng.integers(0, 30, N_VOTES)), left="a", right="b", outcome="who", judge="judge"
    )


def one_replicate(fit: ps.Fit, table, weights: Weights, engine):
    source = Resampler(table, "given", lambda _: weights)
    (replicate,) = refit(fit, table, engine, source, [np.random.default_rng(0)])
    assert not replicate.failure
    return replicate.values


@pytest.fixture
def never_from_scratch(monkeypatch):
    """Fail where a replicate leaves the shared programs, whose results would else be compared with themselves."""

    def refuse(*_: object) -> None:
        raise RuntimeError("fitted from scratch")

    for module in (replicates, pair_replicates):
        monkeypatch.setattr(module, "from_scratch", refuse)


def ratio(boot: ps.Bootstrap, errors: ps.Fit) -> np.ndarray:
    parts = [
        np.ravel(boot.standard_errors[name] / errors.standard_errors[name]) for name in boot.draws if name != "step"
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("engine", [ps.MarginalML(), ps.MAP()], ids=["MarginalML", "MAP"])
def test_drawn_subjects_equal_a_table_of_copies(engine, never_from_scratch):
    """Two copies of a subject are two subjects: by multiplicity, and by fitting the copied table from scratch."""
    table = engine_cases.table(engine_cases.frame())
    fit = ps.fit(engine_cases.MODEL, table, engine=engine)
    weights = resampler(fit, table, None).draw(np.random.default_rng(1))
    assert weights.subjects is not None
    assert (weights.subjects == 0).any()
    values = one_replicate(fit, table, weights, engine)
    copied = with_copies(table, weights)
    assert len(copied.levels["subject"]) == len(table.levels["subject"])
    expected = ps.fit(engine_cases.MODEL, copied, engine=engine)
    for name, value in expected.parameters.items():
        np.testing.assert_allclose(values[name], value, atol=SAME_MODE)
    twice = ps.fit(engine_cases.MODEL, present_rows(table, weights.total(table.codes["subject"])), engine=engine)
    assert abs(float(values["population_sd"] - twice.parameters["population_sd"])) > 0.01


def test_drawn_judges_weigh_within_subjects(never_from_scratch):
    table = engine_cases.table(engine_cases.frame())
    fit = ps.fit(engine_cases.MODEL, table)
    weight = np.where(table.codes["judge"] == 0, 3.0, 1.0)
    values = one_replicate(fit, table, Weights(weight, None), ps.MarginalML())
    expected = ps.fit(engine_cases.MODEL, present_rows(table, weight))
    for name, value in expected.parameters.items():
        np.testing.assert_allclose(values[name], value, atol=SAME_MODE)


@pytest.mark.parametrize("engine", [ps.JointML(), ps.MAP()], ids=["JointML", "MAP"])
def test_vectorised_comparisons_equal_single_fits(votes, engine, never_from_scratch):
    model = ps.BradleyTerry(position=True)
    boot = bootstrap(model, votes, engine=engine, n=3, seed=5)
    source = resampler(boot.fit, votes, None)
    for k, child in enumerate(np.random.SeedSequence(5).spawn(3)):
        weights = source.draw(np.random.default_rng(child))
        single = ps.fit(model, present_rows(source.table, weights.rows), engine=engine)
        for name, value in single.parameters.items():
            np.testing.assert_allclose(boot.draws[name][k], value, atol=SAME_MODE)


def test_resampled_subjects_agree_with_sandwich_and_information(ratings, rasch, never_from_scratch):
    boot = bootstrap(ps.Rasch(), ratings, n=N_DRAWS, seed=1)
    assert not len(boot.failures)
    np.testing.assert_allclose(ratio(boot, robust_errors(rasch, ratings)), 1, atol=band(N_DRAWS))
    np.testing.assert_allclose(ratio(boot, rasch), 1, atol=band(N_DRAWS, N_SUBJECTS))


def test_parametric_ratings_agree_with_the_information(ratings, rasch, never_from_scratch):
    boot = bootstrap(ps.Rasch(), ratings, n=N_DRAWS, seed=2, resample="parametric")
    assert not len(boot.failures)
    np.testing.assert_allclose(ratio(boot, rasch), 1, atol=band(N_DRAWS))
    # The draws' means stray from the estimates by no more than their own standard error and a little bias.
    for name, value in boot.draws.items():
        error = boot.standard_errors[name] / np.sqrt(N_DRAWS)
        bias = rasch.standard_errors[name] / np.sqrt(N_SUBJECTS)
        assert np.all(np.abs(value.mean(axis=0) - rasch.parameters[name]) < 4 * error + 2 * bias)


def test_pairs_agree_with_their_exact_errors(votes):
    model = ps.BradleyTerry(position=True)
    fit = ps.fit(model, votes)
    parametric = bootstrap(model, votes, n=N_VOTE_DRAWS, seed=1, resample="parametric")
    np.testing.assert_allclose(ratio(parametric, fit), 1, atol=band(N_VOTE_DRAWS))
    rows = bootstrap(model, votes, n=N_VOTE_DRAWS, seed=2)
    np.testing.assert_allclose(ratio(rows, robust_errors(fit, votes)), 1, atol=band(N_VOTE_DRAWS))
    judges = bootstrap(model, votes, n=N_VOTE_DRAWS, seed=3, resample="judge")
    # The sandwich has the factor C/(C-1), C = 30; draws of C out of C clusters have a variance without it.
    clustered = ratio(judges, robust_errors(fit, votes, cluster="judge"))
    np.testing.assert_allclose(clustered, np.sqrt(29 / 30), atol=band(N_VOTE_DRAWS))


def test_parametric_draws_have_the_models_frequencies(votes):
    fit = ps.fit(ps.BradleyTerry(), votes)
    source = resampler(fit, votes, "parametric")
    drawn = np.stack([source.draw(np.random.default_rng(k)).rows for k in range(200)]).reshape(200, -1, 2)
    np.testing.assert_array_equal(drawn.sum(axis=2), 1)
    left, right = (fit.parameters["worth"][votes.codes[side]] for side in ("left", "right"))
    chance = 1 / (1 + np.exp(right - left))
    z = (drawn[:, :, 0].sum() - 200 * chance.sum()) / np.sqrt(200 * (chance * (1 - chance)).sum())
    assert abs(z) < 4
    assert source.table.n_rows == 2 * votes.n_rows


def test_replicates_do_not_depend_on_their_number(votes):
    seen: list[tuple[int, int]] = []
    few = bootstrap(ps.BradleyTerry(), votes, n=3, progress=lambda done, n: seen.append((done, n)))
    many = bootstrap(ps.BradleyTerry(), votes, n=6)
    np.testing.assert_allclose(few.draws["worth"], many.draws["worth"][:3], atol=1e-12)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert not np.allclose(few.draws["worth"][0], few.draws["worth"][1], atol=1e-3)


def test_levels_without_data_are_not_a_number_and_counted(votes):
    boot = bootstrap(ps.BradleyTerry(), with_lonely_item(votes), n=40, seed=4, resample="judge")
    frame = boot.estimates("item")
    lonely = frame[frame["level"] == 4].iloc[0]
    lacking = int(np.isnan(boot.draws["worth"][:, 4]).sum() - len(boot.failures))
    assert 0 < lacking < 40
    assert lonely["n_draws"] == 40 - lacking - len(boot.failures)
    assert lonely["note"] == f"no value in {40 - lonely['n_draws']} of 40 replicates"
    assert np.isfinite([lonely["se"], lonely["lower"], lonely["upper"]]).all()
    assert any(f"{lacking} of 40 replicates lack a value of 'worth'" in note for note in boot.notes)
    # Those that have data are centred among themselves.
    np.testing.assert_allclose(np.nansum(boot.draws["worth"], axis=1), 0, atol=1e-9)


def with_lonely_item(votes: ps.PairTable) -> ps.PairTable:
    """A fifth item that only judges 0 and 1 saw, each with wins and losses."""
    rows = votes.to_frame()
    extra = pd.DataFrame(
        [(4, k % 4, "left" if k % 3 else "right", judge) for judge in (0, 1) for k in range(24)],
        columns=["left", "right", "response", "judge"],
    )
    both = pd.concat([rows, extra.assign(weight=1.0)], ignore_index=True)
    return ps.PairTable.from_frame(both, left="left", right="right", outcome="response", judge="judge")


def test_failed_replicates_are_counted(votes):
    """An item that lost twice in ten loses never in about one replicate of eight."""
    rows = votes.to_frame()
    extra = pd.DataFrame(
        [(4, k % 4, "right" if k < 2 else "left", 0) for k in range(10)], columns=["left", "right", "response", "judge"]
    )
    table = ps.PairTable.from_frame(
        pd.concat([rows, extra], ignore_index=True), left="left", right="right", outcome="response", judge="judge"
    )
    n = 60
    boot = bootstrap(ps.BradleyTerry(), table, n=n, seed=6)
    assert 0 < len(boot.failures) < n / 2
    assert boot.failures["error"].str.startswith("IdentificationError").all()
    assert np.isnan(boot.draws["worth"][boot.failures["replicate"]]).all()
    assert any(note.startswith(f"{len(boot.failures)} of {n} replicates could not be fitted") for note in boot.notes)
    assert (boot.estimates("item")["n_draws"] == n - len(boot.failures)).all()


def test_joint_fits_leave_out_subjects_not_drawn():
    table = engine_cases.table(engine_cases.frame())
    boot = bootstrap(engine_cases.MODEL, table, engine=ps.JointML(), n=2, seed=3)
    share = np.isnan(boot.draws["ability"]).mean(axis=1)
    assert ((share > 0.2) & (share < 0.55)).all()  # about 1/e of the subjects
    assert np.isfinite(boot.draws["item"]).all()
    assert (boot.estimates("subject")["n_draws"] <= 2).all()


def test_intervals_equal_closed_forms():
    """Draws at the quantiles of N(δ, 1), estimate 0: percentiles δ ± z, bias-corrected −δ ± z."""
    n, shift, z = 40_001, 0.3, ndtri(0.95)
    draws = ndtri((np.arange(n) + 0.5) / n)[:, None] + shift
    draws = np.concatenate([draws, np.full((50, 1), np.nan)])
    np.testing.assert_allclose(percentile_intervals(draws, 0.9)[:, 0], [shift - z, shift + z], atol=1e-3)
    found = corrected_intervals(draws, np.zeros(1), 0.9)[:, 0]
    np.testing.assert_allclose(found, [-shift - z, -shift + z], atol=1e-3)
    assert np.isnan(corrected_intervals(draws, np.full(1, 9.0), 0.9)).all()
    few = np.random.default_rng(0).normal(size=(37, 3))
    np.testing.assert_allclose(percentile_intervals(few, 0.8), np.quantile(few, [0.1, 0.9], axis=0))


def test_frame_of_scalars_and_levels(votes):
    boot = bootstrap(ps.BradleyTerry(position=True), votes, n=30)
    frame, scalars = boot.estimates("item", level=0.8), boot.estimates("population")
    assert list(frame["level"]) == [0, 1, 2, 3]
    assert (frame["lower"] < frame["upper"]).all()
    np.testing.assert_allclose(frame["se"], boot.draws["worth"].std(axis=0, ddof=1))
    np.testing.assert_allclose(frame["bias"], boot.draws["worth"].mean(axis=0) - boot.fit.parameters["worth"])
    assert list(scalars["level"]) == ["position"]
    np.testing.assert_allclose(scalars["se"], boot.draws["position"].std(ddof=1))


def test_refusals(votes, ratings):
    with pytest.raises(DataError, match=r"engine=NUTS\(\)\) would draw from draws"):
        bootstrap(ps.Rasch(), ratings, engine=ps.NUTS())
    with pytest.raises(DataError, match="needs at least 2 replicates"):
        bootstrap(ps.Rasch(), ratings, n=1)
    with pytest.raises(DataError, match="neither 'parametric' nor a column of the table"):
        bootstrap(ps.BradleyTerry(), votes, resample="subject")
    with pytest.raises(DesignError, match="levels of random facet 'judge' would have to be drawn anew"):
        bootstrap(ps.ManyFacetRasch(random=("judge",)), ratings, resample="parametric")
    halves = ps.PairTable.from_frame(
        votes.to_frame().assign(weight=0.5), left="left", right="right", outcome="response", weight="weight"
    )
    with pytest.raises(DataError, match=r"1200 of 1200 are not, first 0\.5 at row 0"):
        bootstrap(ps.BradleyTerry(), halves)
    alone = ps.PairTable.from_frame(
        votes.to_frame().assign(judge="j"), left="left", right="right", outcome="response", judge="judge"
    )
    with pytest.raises(DataError, match="one level of 'judge' cannot be resampled"):
        bootstrap(ps.BradleyTerry(), alone, resample="judge")


def test_hopeless_tables_raise():
    """Three comparisons in a ring: hardly any replicate is connected."""
    ring = pd.DataFrame({"a": ["x", "y", "z"], "b": ["y", "z", "x"], "who": ["left"] * 3})
    table = ps.PairTable.from_frame(ring, left="a", right="b", outcome="who")
    with pytest.raises(ConvergenceError, match="of 2 replicates could not be fitted"):
        bootstrap(ps.BradleyTerry(), table, n=2, seed=0)
