"""What every engine promises, checked on all of them with one table."""

from __future__ import annotations

import dataclasses

import engine_cases
import numpy as np
import pytest
from engine_cases import ENGINES, MODEL

import psymetric as ps
from psymetric.errors import DataError

# Two runs of the same optimiser on the same numbers in another order.
ROUNDING = 1e-6
SAMPLING = ("Laplace", "NUTS", "SVI")
PENALISED = ("MAP", *SAMPLING)


@pytest.fixture(scope="module")
def frame():
    return engine_cases.frame()


@pytest.fixture(scope="module")
def fits(frame) -> dict[str, ps.Fit]:
    table = engine_cases.table(frame)
    return {name: ps.fit(MODEL, table, engine=engine) for name, engine in ENGINES.items()}


@pytest.fixture(params=ENGINES)
def name(request) -> str:
    return request.param


@pytest.fixture
def fit(fits, name) -> ps.Fit:
    return fits[name]


def same(first: ps.Fit, second: ps.Fit) -> None:
    for key, value in first.parameters.items():
        np.testing.assert_allclose(second.parameters[key], value, atol=ROUNDING, err_msg=key)
        np.testing.assert_allclose(second.standard_errors[key], first.standard_errors[key], atol=ROUNDING, err_msg=key)


def test_settings_are_frozen(name):
    field = dataclasses.fields(ENGINES[name])[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(ENGINES[name], field, 1)


def test_same_seed_same_numbers(fit, frame, name):
    again = ps.fit(MODEL, engine_cases.table(frame), engine=ENGINES[name])
    for key, value in fit.parameters.items():
        np.testing.assert_array_equal(again.parameters[key], value)


def test_another_seed_other_draws(fits, frame):
    again = ps.fit(MODEL, engine_cases.table(frame), engine=dataclasses.replace(ENGINES["Laplace"], seed=1))
    assert not np.array_equal(again.parameters["judge"], fits["Laplace"].parameters["judge"])


def test_row_order_does_not_matter(fit, frame, name):
    same(fit, ps.fit(MODEL, engine_cases.table(frame.sample(frac=1, random_state=2)), engine=ENGINES[name]))


def test_weight_two_equals_row_twice(frame, name):
    if name == "NUTS":
        pytest.skip("samples the marginal density that MAP climbs, which is checked")
    twice = frame.loc[np.r_[np.arange(len(frame)), 0, 5]]
    weighted = frame.assign(w=np.where(frame.index.isin([0, 5]), 2.0, 1.0))
    first = ps.fit(MODEL, engine_cases.table(twice), engine=ENGINES[name])
    second = ps.fit(MODEL, engine_cases.table(weighted, "w"), engine=ENGINES[name])
    assert first.n_responses == second.n_responses == len(frame) + 2
    same(first, second)


def test_labels_only_permute_the_estimates(fit, frame, name):
    if name in SAMPLING:
        pytest.skip("draws belong to coordinates, which the order of the levels decides")
    renamed = frame.replace({"judge": {"j1": "z", "j2": "a"}, "item": {"i1": "y", "i2": "b"}})
    found = ps.fit(MODEL, engine_cases.table(renamed), engine=ENGINES[name])
    for facet, names in (("judge", {"j1": "z", "j2": "a"}), ("item", {"i1": "y", "i2": "b"})):
        before, after = (f.estimates(facet).set_index("level") for f in (fit, found))
        for old, new in names.items():
            assert after.loc[new, "estimate"] == pytest.approx(before.loc[old, "estimate"], abs=ROUNDING)
            assert after.loc[new, "se"] == pytest.approx(before.loc[old, "se"], abs=ROUNDING)


def test_levels_and_steps_sum_to_zero(fit):
    for facet in ("item", "judge", "step"):
        assert float(fit.parameters[facet].sum()) == pytest.approx(0, abs=1e-9)


def test_status(fit, name):
    assert fit.status.converged
    assert fit.status.iterations > 0
    assert fit.status.message
    if name == "NUTS":
        assert set(fit.status.details) == {"r_hat", "ess_bulk", "ess_tail", "divergences", "mean_steps"}
        assert fit.status.details["r_hat"] < 1.05
    elif name == "SVI":
        assert set(fit.status.details) == {"elbo", "elbo_rise", "pareto_k", "ess_importance"}
        assert fit.status.message.startswith("approximate: full-rank Gaussian")
        assert fit.status.details["pareto_k"] < 0.7
    else:
        assert fit.status.details["last_step"] < 1e-5


def test_everything_is_finite(fit):
    for values in (fit.parameters, fit.standard_errors):
        for key, value in values.items():
            assert np.all(np.isfinite(value)), key


def test_estimates_frame(fit):
    frame = fit.estimates("judge", level=0.9)
    assert list(frame.columns) == ["level", "estimate", "se", "lower", "upper", "n", "note"]
    assert list(frame["level"]) == ["j1", "j2"]
    assert (frame["n"] == 2 * engine_cases.N_SUBJECTS).all()
    assert (frame["lower"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["upper"]).all()
    wider = fit.estimates("judge", level=0.99)
    assert (wider["upper"] > frame["upper"]).all()
    steps = fit.estimates("step")
    assert list(steps.columns) == ["group", "step", "category", "estimate", "se", "lower", "upper", "note"]


def test_population_and_subjects(fit, name):
    if name == "JointML":
        assert fit.estimates("population").empty
    else:
        assert list(fit.estimates("population")["level"]) == ["population_mean", "population_sd"]
    if name in ("MarginalML", "ConditionalML", "MAP"):
        with pytest.raises(DataError, match=rf"{name} integrates subjects out: use psymetric.score\(fit, table\)"):
            fit.estimates("subject")
    else:
        assert len(fit.estimates("subject")) == engine_cases.N_SUBJECTS


def test_wrong_questions(fit):
    with pytest.raises(DataError, match=r"ManyFacetRasch has no facet 'rater': it has \['subject', 'item', 'judge'"):
        fit.estimates("rater")
    with pytest.raises(DataError, match=r"level=95 is not a coverage between 0 and 1"):
        fit.estimates("judge", level=95)


def test_summary_says_what_was_done(fit, name):
    text = fit.summary()
    assert text.startswith(f"ManyFacetRasch by {name}")
    assert ("penalised" in text) == fit.penalised == (name in PENALISED)
    assert "converged" in text
    assert np.isnan(fit.aic) == (name in PENALISED)


def test_provenance(fit, name, frame):
    table = engine_cases.table(frame)
    assert fit.table_hash == table.hash
    assert fit.provenance.settings["engine"] == dataclasses.asdict(ENGINES[name])
    assert fit.provenance.seed == (0 if name in SAMPLING else None)


def test_save_and_load(fit, tmp_path):
    loaded = ps.Fit.load(fit.save(tmp_path / "fit.npz"))
    assert loaded.summary() == fit.summary()
    assert (loaded.model, loaded.engine, loaded.status) == (fit.model, fit.engine, fit.status)
    assert (loaded.levels, loaded.categories, loaded.notes) == (fit.levels, fit.categories, fit.notes)
    assert loaded.provenance == fit.provenance
    for kind in ("parameters", "standard_errors", "covariances", "counts", "draws"):
        before, after = (getattr(f, kind) or {} for f in (fit, loaded))
        assert before.keys() == after.keys()
        for key, value in before.items():
            np.testing.assert_array_equal(after[key], value)


def test_to_arviz(fit):
    posterior = fit.to_arviz().posterior
    assert list(posterior["judge"].coords["judge_level"].values) == ["j1", "j2"]
    assert posterior["step"].dims == ("chain", "draw", "all_level", "step_level")
    n_draws = fit.draws["judge"].shape[:2] if fit.draws else (1, 1)
    assert posterior["judge"].shape == (*n_draws, 2)
    np.testing.assert_allclose(posterior["judge"].mean(("chain", "draw")), fit.parameters["judge"])


def test_not_a_fit(tmp_path, fits):
    path = tmp_path / "fit.npz"
    path.write_text("not a fit")
    with pytest.raises(DataError, match=r"is not a fit written by Fit\.save, or is damaged"):
        ps.Fit.load(path)
    np.savez(path, record=np.frombuffer(b'{"format": 1}', np.uint8))
    with pytest.raises(DataError, match=r"is not a fit written by Fit\.save, or is damaged"):
        ps.Fit.load(path)
    with pytest.raises(DataError, match=r"cannot read a fit from .*: No such file"):
        ps.Fit.load(tmp_path / "absent.npz")
    whole = fits["MAP"].save(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is not a fit written by Fit\.save, or is damaged"):
        ps.Fit.load(path)
    with pytest.raises(DataError, match="cannot write the fit to"):
        fits["MAP"].save(tmp_path / "no" / "folder" / "fit.npz")


def test_another_format(tmp_path):
    path = tmp_path / "fit.npz"
    np.savez(path, record=np.frombuffer(b'{"format": 99}', np.uint8))
    with pytest.raises(DataError, match="has format 99, this version reads 1"):
        ps.Fit.load(path)


def test_no_pickle(tmp_path):
    path = tmp_path / "fit.npz"
    np.savez(path, record=np.array([{"format": 1}], dtype=object))
    with pytest.raises(DataError, match=r"is not a fit written by Fit\.save, or is damaged"):
        ps.Fit.load(path)


def test_estimates_lie_near_the_truth(fit, name):
    """Within four standard errors: on one fixed table a wrong sign or scale is many more."""
    if name == "JointML":
        pytest.skip("biased outwards with four responses per subject")
    for facet, truth in (("item", engine_cases.DIFFICULTY), ("judge", engine_cases.SEVERITY)):
        frame = fit.estimates(facet)
        assert (np.abs(frame["estimate"] - truth) < 4 * frame["se"]).all()
    frame = fit.estimates("population").set_index("level")
    assert abs(frame.loc["population_sd", "estimate"] - engine_cases.SD) < 4 * frame.loc["population_sd", "se"]
