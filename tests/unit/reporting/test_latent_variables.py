"""Reports of several dimensions, halos and ideal categories: every section is there, or says why not."""

from __future__ import annotations

import re
from functools import cache

import nested_world
import numpy as np
import pytest
from two_dimensions import FRAME, KEY, table

import psymetric as ps
from psymetric.errors import DataError

SMALL = FRAME[FRAME["subject"] < "s030"]


@cache
def reported(name: str) -> tuple[ps.Fit, ps.Report]:
    data = table(SMALL) if name == "dimensions" else nested_world.table(nested_world.frame(25, 0.9, seed=3)[0])
    models = {
        "dimensions": ps.Multidimensional(key=KEY),
        "halo": ps.RaschTestlet(),
        "ideal": ps.HierarchicalRater(),
    }
    # Thirty subjects leave a correlation to the prior.
    fit = ps.fit(models[name], data, engine=ps.MAP())
    return fit, ps.report(fit, data)


@pytest.mark.parametrize(
    "name", ["halo", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("dimensions", "ideal"))]
)
def test_every_section_is_there(name):
    _, found = reported(name)
    for anchor in ("scores", "effects", "instrument", "missing", "next", "appendix"):
        assert len(re.findall(rf'id="{anchor}"', found.html)) == 1, anchor
    # One sentence for what the model does not have, in its place.
    for what in ("Information along the scale is left out", "Observed answers along the measure are left out"):
        assert found.html.count(what) == 1
    assert ("Fair averages are left out" in found.html) == (name != "none")
    assert "nan" not in re.sub(r"<[^>]*>", " ", found.html).split()
    assert {"infit", "outfit"} <= set(found.scores.columns)


@pytest.mark.thorough
def test_dimensions_stand_beside_one_another():
    fit, found = reported("dimensions")
    scores = ps.score(fit, table(SMALL)).frame
    assert len(found.scores) == len(scores) == 60
    beside = found.scores.merge(scores, on=["subject", "dimension"], suffixes=("", "_own"))
    np.testing.assert_allclose(beside["estimate"], beside["estimate_own"])
    rows = {row["level"]: row for row in found.record["tables"]["dimensions"]}
    correlation = fit.parameters["correlation"][0, 1]
    assert rows["correlation: E, N"]["estimate"] == pytest.approx(correlation)
    # The same two means as score_reliability, by another route.
    reliability = ps.score_reliability(fit, table(SMALL), draws=5).set_index("dimension")["value"]
    for name in KEY:
        assert rows[f"mean: {name}"]["reliability"] == pytest.approx(reliability[name])
    assert len(found.record["fits"]) == 1
    assert found.html.count("Wright map: all facets") >= 2
    assert (found.facets["facet"] == "item").sum() == 8


def test_a_halo_has_its_share():
    fit, found = reported("halo")
    shares = {row["facet"]: row["variance"] for row in found.record["tables"]["variance"]}
    assert shares["subject × judge"] == pytest.approx(float(fit.parameters["halo_sd"]) ** 2)
    assert "share an effect of their own" in found.html


@pytest.mark.thorough
def test_judges_of_ideal_categories_are_in_categories():
    fit, found = reported("ideal")
    assert "Shares of variance are left out" in found.html
    assert not [name for name in found.record["tables"] if name.startswith("variance")]
    precision = {row["level"]: row["estimate"] for row in found.record["tables"]["precision-judge"]}
    assert list(precision.values()) == pytest.approx(sorted(fit.parameters["precision"], reverse=True))
    assert "severity, categories" in found.html
    assert "logits apart" not in found.html.partition('id="instrument"')[0].partition('id="judges"')[2]


@pytest.mark.thorough
def test_scores_of_other_dimensions_are_refused():
    fit, _ = reported("dimensions")
    one = ps.fit(ps.ManyFacetRasch(facets=("item",), steps="item"), table(SMALL), engine=ps.MAP())
    with pytest.raises(DataError, match=r"the fit measures \['E', 'N'\], and the scores do not"):
        ps.report(fit, table(SMALL), scores=ps.score(one, table(SMALL)))
