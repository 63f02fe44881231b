"""Estimates at the edge of what they can be are named with a mend, and an engine that cannot fit says which can."""

from __future__ import annotations

import re
from dataclasses import replace

import model_cases
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.boundaries import boundary_notes
from psymetric.estimation.suitability import suitable_engines
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.space import has_dimensions

N_SUBJECTS = 300


def item_table(values: np.ndarray) -> ps.ResponseTable:
    """Columns are items i0, i1, …"""
    rows = [(f"s{s}", f"i{i}", int(values[s, i])) for s in range(len(values)) for i in range(values.shape[1])]
    return ps.ResponseTable.from_frame(pd.DataFrame(rows, columns=["s", "i", "x"]), response="x", subject="s", item="i")


@pytest.fixture(scope="module")
def ordinary() -> np.ndarray:
    """Five items of slope one, nobody guessing."""
    rng = np.random.default_rng(0)
    ability = rng.normal(size=(N_SUBJECTS, 1))
    return (rng.random((N_SUBJECTS, 5)) < 1 / (1 + np.exp(-(ability - np.linspace(-1, 1, 5))))).astype(int)


@pytest.fixture(scope="module")
def with_guttman(ordinary) -> ps.ResponseTable:
    """A sixth item that is right exactly where three of the five others are: a step in the ability."""
    return item_table(np.column_stack([ordinary, ordinary.sum(axis=1) >= 3]))


def test_a_slope_that_runs_to_infinity(with_guttman):
    message = (
        r"the likelihood has no maximum inside what TwoPL allows: discrimination of item 'i5' \(\d+: running to "
        r"infinity\)\. An item that follows the others too closely \(a Heywood case\).*Use MAP\(\)"
    )
    with pytest.raises(IdentificationError, match=message):
        ps.fit(ps.TwoPL(), with_guttman, engine=ps.MarginalML())


def test_the_default_prior_stops_it_and_is_reported(with_guttman):
    fit = ps.fit(ps.TwoPL(), with_guttman, engine=ps.MAP())
    row = fit.estimates("discrimination").iloc[5]
    assert np.isfinite([row["estimate"], row["se"]]).all()
    far = (row["estimate"] - 1) / 0.5
    (note,) = [note for note in fit.notes if note.startswith("held by their priors")]
    assert f"discrimination of item 'i5' ({row['estimate']:.3g}, {far:.1f} prior sds from the prior's centre)" in note
    assert "'i4'" not in note


def test_guessing_at_zero(ordinary):
    with pytest.raises(IdentificationError, match=r"guessing of item 'i\d' \([\d.e-]+: at its bound of 0\)"):
        ps.fit(ps.ThreePL(), item_table(ordinary), engine=ps.MarginalML())


def test_an_item_that_has_nothing_to_do_with_the_others(ordinary):
    """Its slope is next to zero, and its location is then anywhere."""
    noise = np.random.default_rng(5).integers(0, 2, N_SUBJECTS)
    table = item_table(np.column_stack([ordinary, noise]))
    with pytest.raises(
        IdentificationError, match=r"discrimination of item 'i5' \([\d.-]+: next to zero, which leaves its"
    ):
        ps.fit(ps.TwoPL(), table, engine=ps.MarginalML())


def test_estimates_near_an_edge_are_noted(ordinary):
    """Where the maximum is inside, but only just."""
    table = item_table(np.column_stack([ordinary, ordinary[::-1, 0]]))
    fit = ps.fit(ps.TwoPL(), table, engine=ps.MAP())
    parameters = {**fit.parameters, "discrimination": np.array([1, 1, 1, 1, 7.5, 0.01])}
    errors = {**fit.standard_errors, "item": np.array([0.1, 0.1, 0.1, 0.1, 0.1, 38.0])}
    notes = list(boundary_notes(ps.TwoPL(), table, parameters, errors, penalised=False))
    assert notes[0] == (
        "estimates at the edge of what they can be: discrimination of item 'i4' (7.5: running to infinity), "
        "discrimination of item 'i5' (0.01: next to zero, which leaves its location open). Their standard errors say "
        "little; use MAP(), whose priors hold such estimates, or leave the item out"
    )
    assert notes[1].endswith("items say little about subjects: item 'i5' (se 38.0)")
    assert list(boundary_notes(ps.TwoPL(), table, fit.parameters, fit.standard_errors, penalised=False)) == []


@pytest.mark.parametrize("model", [ps.FourPL(), ps.NominalResponse()], ids=lambda model: type(model).__name__)
def test_a_search_that_leaves_every_maximum_behind(model, ordinary):
    """Neither NaN in the curvature nor a ridge escapes as an error of linear algebra."""
    doubled = np.column_stack([ordinary, ordinary[:, 0]])
    with pytest.raises(IdentificationError, match=rf"the likelihood has no maximum inside what {type(model).__name__}"):
        ps.fit(model, item_table(doubled), engine=ps.MarginalML())


def test_two_items_of_free_slopes(ordinary):
    message = r"TwoPL estimates a slope for every item, which takes at least 3 items; the table has 2 .*Use Rasch\(\)"
    with pytest.raises(DataError, match=message):
        ps.fit(ps.TwoPL(), item_table(ordinary[:, :2]))


# ------------------------------------------------------------------------------------- engines that cannot fit

ENGINES = {type(engine).__name__: engine for engine in (ps.MarginalML(), ps.ConditionalML(), ps.JointML(), ps.MAP())}


def fitting_table(model: AbstractMeasurementModel) -> ps.ResponseTable | ps.PairTable:
    """Data that the model could have drawn, where noise would have no maximum."""
    if model.scale == "items":
        return model_cases.as_table(model, model_cases.frame_for(model))
    rng = np.random.default_rng(3)
    latent = 1.5 * rng.normal(size=(N_SUBJECTS, 1)) + rng.logistic(size=(N_SUBJECTS, 5)) + np.linspace(-1, 1, 5)
    for cuts in ([-1.5, 0.0, 1.5], [0.0]):
        table = item_table(np.digitize(latent, cuts))
        try:
            model.check(table)
        except DataError:
            continue
        return table
    raise AssertionError(model)


# What is refused costs nothing; that what is promised fits takes a compilation each.
PAIRS = [
    pytest.param(
        case.model,
        name,
        id=f"{case}-{name}",
        marks=[pytest.mark.slow] if name in suitable_engines(case.model) or case.model.needs_prior else [],
    )
    for case in model_cases.cases()
    # Slopes by dimension want items of the key's names: tests/unit/models/test_multidimensional_refusals.py.
    if not (has_dimensions(case.model) and case.model.scale == "subjects")
    for name in ENGINES
]


@pytest.mark.parametrize(("model", "name"), PAIRS)
def test_every_engine_fits_a_model_or_says_which_do(model, name):
    """What is promised fits; what is not says so, and names what does, which is checked by the same test."""
    promised = [engine for engine in suitable_engines(model) if engine in ENGINES]
    table = fitting_table(model)
    if name in promised:
        if model.scale == "items" and re.search(r"slopes=\(?'", repr(model)):
            pytest.skip("slopes of a table of noise have no maximum; tests of the model itself fit one")
        fit = ps.fit(model, table, engine=ENGINES[name])
        assert fit.status.converged
        return
    if name == "MarginalML" and model.needs_prior:
        assert ps.fit(model, table, engine=ps.MAP()).penalised
        return
    with pytest.raises(DesignError) as caught:
        ps.fit(model, table, engine=ENGINES[name])
    named = set(re.findall(r"(MarginalML|ConditionalML|JointML|MAP|Laplace|NUTS|SVI)\(\)", str(caught.value)))
    assert named == set(suitable_engines(model))
    assert str(caught.value).startswith(name)


def test_anchors_and_priors_do_not_change_who_can():
    anchored = ps.ManyFacetRasch(anchors={"judge": {"j1": 0.4}})
    assert suitable_engines(anchored) == suitable_engines(replace(anchored, anchors={}))
    assert "MarginalML" not in suitable_engines(ps.ThreePL())
