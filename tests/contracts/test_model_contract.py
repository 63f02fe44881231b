"""What every measurement model promises, checked on every model found in psymetric/models."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import model_cases
import numpy as np
import pytest
from model_cases import Case

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.curvature import information, value_and_gradient
from psymetric.estimation.problems import JointProblem, joint_problem
from psymetric.models.discovery import available_models, get_model, model_settings
from psymetric.models.space import has_ability, has_dimensions

CASES = model_cases.cases()
# Differences of float64 sums over a hundred rows, taken in another order.
ROUNDING = 1e-9


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def _problem(case: Case, table=None) -> JointProblem:
    return joint_problem(case.model, case.table if table is None else table, prior=False)


def _point(problem: JointProblem, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, problem.space.size)


def _log_probs(case: Case, problem: JointProblem, free: np.ndarray) -> np.ndarray:
    params = problem.space.constrain(jnp.asarray(free))
    return np.asarray(case.model.category_log_probs(params, problem.codes, problem.n_categories))


def _log_likelihood(case: Case, table, params) -> float:
    problem = _problem(case, table)
    return float(
        case.model.log_likelihood(params, problem.codes, problem.response, problem.weight, problem.n_categories)
    )


def test_probabilities_sum_to_one(case):
    problem = _problem(case)
    np.testing.assert_allclose(np.exp(_log_probs(case, problem, _point(problem))).sum(axis=1), 1.0, atol=1e-12)


def test_finite_at_forty_logits(case):
    problem = _problem(case)
    where = problem.space.slices()
    free = _point(problem)
    for name in ("ability", "worth"):
        if name in where:
            n = where[name].stop - where[name].start
            free[where[name]] = np.where(np.arange(n) % 2, 40.0, -40.0)
    log_probs = _log_probs(case, problem, free)
    assert np.all(np.isfinite(log_probs))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1.0, atol=1e-12)


def test_gradient_equals_finite_differences(case):
    problem = _problem(case)
    free = _point(problem)
    gradient = np.asarray(value_and_gradient(problem, jnp.asarray(free))[1])
    step = 1e-5
    for index in range(len(free)):
        ends = [free.copy(), free.copy()]
        ends[0][index] -= step
        ends[1][index] += step
        low, high = (float(value_and_gradient(problem, jnp.asarray(end))[0]) for end in ends)
        # Central differences: truncation ~step² × third derivative, rounding ~1e-13 / step.
        assert gradient[index] == pytest.approx((high - low) / (2 * step), abs=2e-6)


def test_compiled_equals_eager(case):
    problem = _problem(case)
    free = jnp.asarray(_point(problem))
    compiled = float(value_and_gradient(problem, free)[0])
    with jax.disable_jit():
        assert float(problem.log_density(free)) == pytest.approx(compiled, abs=ROUNDING)


def test_row_order_does_not_matter(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    shuffled = model_cases.as_table(case.model, frame.sample(frac=1, random_state=5))
    expected = _log_likelihood(case, case.table, params)
    assert _log_likelihood(case, shuffled, params) == pytest.approx(expected, abs=ROUNDING)


def test_weight_two_equals_row_twice(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    twice = frame.loc[np.r_[np.arange(len(frame)), 0]]
    weighted = frame.assign(w=np.where(np.arange(len(frame)) == 0, 2.0, 1.0))
    expected = _log_likelihood(case, model_cases.as_table(case.model, twice), params)
    assert _log_likelihood(case, model_cases.as_table(case.model, weighted, "w"), params) == pytest.approx(
        expected, abs=ROUNDING
    )


def test_weight_zero_equals_row_absent(case):
    params = _problem(case).space.constrain(jnp.asarray(_point(_problem(case))))
    frame = model_cases.frame_for(case.model)
    weighted = frame.assign(w=np.where(np.arange(len(frame)) == 0, 0.0, 1.0))
    expected = _log_likelihood(case, model_cases.as_table(case.model, frame.iloc[1:]), params)
    assert _log_likelihood(case, model_cases.as_table(case.model, weighted, "w"), params) == pytest.approx(
        expected, abs=ROUNDING
    )


def test_information_has_full_rank(case):
    """Identified, and the constraints are not redundant: no direction of the free vector leaves the likelihood flat."""
    if any(spec.random and spec.name != "ability" for spec in case.model.parameters):
        pytest.skip("levels times an unknown sd are identified by their distribution, not by the likelihood")
    problem = _problem(case)
    found = information(problem, _point(problem) * 0.2)
    assert np.all(found.diagonal > 0)
    assert found.null_directions().size == 0


def test_simulated_frequencies_follow_the_probabilities(case):
    problem = _problem(case)
    params = problem.space.constrain(jnp.asarray(_point(problem)))
    repeats = 4_000
    codes = {name: jnp.repeat(code, repeats) for name, code in problem.codes.items()}
    drawn = case.model.simulate(params, codes, problem.n_categories, seed=8).reshape(-1, repeats)
    frequency = np.stack([(drawn == k).mean(axis=1) for k in range(problem.n_categories)], axis=1)
    probability = np.exp(_log_probs(case, problem, _point(problem)))
    error = np.sqrt(probability * (1 - probability) / repeats)
    # Some 400 frequencies: five standard errors are exceeded by chance once in 4,000 such tests.
    assert np.all(np.abs(frequency - probability) <= 5 * error + 1 / repeats)


def test_free_vector_survives_the_round_trip(case):
    problem = _problem(case)
    free = _point(problem)
    values = {name: np.asarray(value) for name, value in problem.space.constrain(jnp.asarray(free)).items()}
    np.testing.assert_allclose(problem.space.unconstrain(values), free, atol=1e-9)


def test_unknown_facet_is_an_error(case):
    frame = model_cases.frame_for(case.model)
    if case.model.table_kind == "pairs":
        table = model_cases.response_table(model_cases.response_frame(2))
        with pytest.raises(DataError, match="needs a PairTable, got a ResponseTable"):
            ps.fit(case.model, table)
        return
    table = ps.ResponseTable.from_frame(frame, response="rating", subject="subject")
    with pytest.raises(DataError, match=r"reads facet 'item', which the table does not have: its facets are \[\]"):
        ps.fit(case.model, table)


def test_settings_survive_the_round_trip(case):
    assert get_model(type(case.model).__name__, model_settings(case.model)) == case.model


@pytest.mark.parametrize("name", sorted(available_models()))
def test_public_name(name):
    assert getattr(ps, name) is available_models()[name]


@pytest.mark.parametrize("name", sorted(available_models()))
def test_integrated_and_free_subjects_share_one_likelihood(name):
    """On a grid of one node at zero the marginal likelihood is the likelihood of subjects at the mean."""
    model = available_models()[name]()
    if not has_ability(model):
        pytest.skip("the model has no subjects")
    if has_dimensions(model):
        pytest.skip("windows in place of a grid: tests/unit/estimation/test_windows.py")
    from psymetric.estimation.problems import marginal_problem

    table = model_cases.as_table(model, model_cases.frame_for(model))
    marginal = marginal_problem(model, table, prior=False, n_nodes=1, half_width=0.0)
    joint = joint_problem(model, table, prior=False)
    free = np.random.default_rng(2).normal(0, 0.5, marginal.space.size)
    values = {key: np.asarray(value) for key, value in marginal.space.constrain(jnp.asarray(free)).items()}
    values["ability"] = np.full(len(table.levels["subject"]), values["population_mean"])
    expected = joint.log_likelihood(jnp.asarray(joint.space.unconstrain(values)))
    assert float(marginal.log_likelihood(jnp.asarray(free))) == pytest.approx(float(expected), abs=ROUNDING)
