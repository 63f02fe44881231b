"""Joint maximum likelihood: its bias against truth and against conditional estimates, and the correction of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, DesignError

BAND = 3.3  # standard errors: left by chance once in a thousand checks
CORRECTED = ps.JointML(correction="wright_douglas")
SEEDS = range(6)


def rated(
    n_subjects: int, items: np.ndarray, judges: np.ndarray, steps: np.ndarray, *, seed: int, share: float = 1.0
) -> ps.ResponseTable:
    """Ratings of every subject by every judge on every item; of every other subject only a share of them."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(0, 1.2, n_subjects)
    rows = pd.MultiIndex.from_product(
        [range(n_subjects), range(len(items)), range(len(judges))], names=["subject", "item", "judge"]
    ).to_frame(index=False)
    rows = rows[(rows["subject"] % 2 == 0) | (rng.random(len(rows)) < share)]
    location = ability[rows["subject"]] - items[rows["item"]] - judges[rows["judge"]]
    logits = np.column_stack([np.zeros(len(rows)), np.cumsum(location[:, None] - steps, axis=1)])
    below = np.cumsum(np.exp(logits), axis=1)
    rating = (rng.random((len(rows), 1)) * below[:, -1:] > below).sum(axis=1)
    return ps.ResponseTable.from_frame(
        rows.assign(rating=rating),
        response="rating",
        subject="subject",
        item="item",
        facets=("judge",),
        categories=range(len(steps) + 1),
    )


ONE, DICHOTOMOUS = np.zeros(1), np.zeros(1)
THREE, STEPS = np.array([-0.8, 0.0, 0.8]), np.array([-1.0, 0.0, 1.0])
DESIGNS = {
    "20 items": (400, np.linspace(-2, 2, 20), ONE, DICHOTOMOUS, 1.0, 20),
    "5 items": (400, np.linspace(-1.5, 1.5, 5), ONE, DICHOTOMOUS, 1.0, 5),
    # Twelve responses share one ability: L is neither the number of items nor that of judges.
    "4 items by 3 judges": (400, np.linspace(-1, 1, 4), THREE, STEPS, 1.0, 12),
    "some responses missing": (400, np.linspace(-1, 1, 6), THREE, STEPS, 0.33, 12),
}


def stretch(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Slope of estimates on their true values: one without bias."""
    return float(estimate.ravel() @ truth / (truth @ truth))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", [name if name == "5 items" else pytest.param(name, marks=pytest.mark.slow) for name in DESIGNS]
)
def test_bias_and_what_the_correction_leaves_of_it(name):
    """Six tables of 400 subjects; the band is that of the mean over tables."""
    n_subjects, items, judges, steps, share, length = DESIGNS[name]
    truths = {"item": items} | ({"judge": judges} if len(judges) > 1 else {})
    found: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        table = rated(n_subjects, items, judges, steps, seed=seed, share=share)
        for engine in (ps.JointML(), CORRECTED):
            fit = ps.fit(ps.ManyFacetRasch(facets=tuple(truths)), table, engine=engine)
            for facet, truth in truths.items():
                found.setdefault((engine.correction, facet), []).append(stretch(fit.parameters[facet], truth))
    expected = length / (length - 1)
    for (correction, facet), values in found.items():
        error = BAND * np.std(values, ddof=1) / np.sqrt(len(values))
        # The (L − 1)/L rule is itself good to about a tenth of the bias (Jansen et al., 1988).
        rule = 0.12 * (expected - 1)
        target = 1.0 if correction == "wright_douglas" else expected
        assert abs(np.mean(values) - target) < error + rule, (correction, facet)
    items_plain = np.array(found["none", "item"])
    assert items_plain.mean() - 1 > BAND * items_plain.std(ddof=1) / np.sqrt(len(items_plain))


def test_two_items_are_corrected_exactly():
    """The joint estimate of two right-or-wrong items is twice the conditional one (Andersen, 1973)."""
    table = rated(200, np.array([-0.4, 0.4]), ONE, DICHOTOMOUS, seed=1)
    joint, corrected, conditional = (
        ps.fit(ps.Rasch(), table, engine=engine) for engine in (ps.JointML(), CORRECTED, ps.ConditionalML())
    )
    np.testing.assert_allclose(joint.parameters["item"], 2 * conditional.parameters["item"], atol=1e-6)
    np.testing.assert_allclose(corrected.parameters["item"], conditional.parameters["item"], atol=1e-6)
    np.testing.assert_allclose(corrected.standard_errors["item"], conditional.standard_errors["item"], rtol=1e-6)


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    return rated(120, np.linspace(-1, 1, 4), THREE, STEPS, seed=3)


@pytest.fixture(scope="module")
def corrected(table) -> ps.Fit:
    return ps.fit(ps.ManyFacetRasch(), table, engine=CORRECTED)


def test_subjects_are_estimated_at_the_corrected_values(corrected, table):
    """`score` solves the same equations for a table the fit has not seen; errors carry those of the shrunken rest."""
    frame = table.to_frame().sample(frac=1, random_state=0)
    again = ps.ResponseTable.from_frame(
        frame, response="response", subject="subject", item="item", facets=("judge",), categories=table.categories
    )
    scores = ps.score(corrected, again, method="ml", parameters="uncertain").frame
    own = corrected.estimates("subject").set_index("level").loc[scores["subject"]]
    np.testing.assert_allclose(scores["estimate"], own["estimate"], atol=1e-5)
    ordinary = ~scores["extreme"].to_numpy()
    np.testing.assert_allclose(scores["se"][ordinary], own["se"].to_numpy()[ordinary], rtol=1e-3)


def test_the_correction_is_noted(corrected, table):
    plain = ps.fit(ps.ManyFacetRasch(), table, engine=ps.JointML())
    np.testing.assert_allclose(corrected.parameters["judge"], 11 / 12 * plain.parameters["judge"], atol=1e-8)
    shrunken = np.sqrt(11 / 12) * plain.standard_errors["step"]
    np.testing.assert_allclose(corrected.standard_errors["step"], shrunken, atol=1e-8)
    assert corrected.log_likelihood == plain.log_likelihood
    (note,) = [note for note in corrected.notes if note.startswith("corrected for bias")]
    assert "n = 12 responses per subject, and subjects" in note
    assert "steps keep part of their bias" in note
    assert not any("corrected for bias" in note for note in plain.notes)
    uneven = rated(120, np.linspace(-1, 1, 4), THREE, STEPS, seed=3, share=0.5)
    fit = ps.fit(ps.ManyFacetRasch(), uneven, engine=CORRECTED)
    assert any("responses per subject on average (" in note for note in fit.notes)


def test_extreme_subjects_are_never_nan():
    """All responses the lowest, or all the highest."""
    frame = rated(60, np.linspace(-1, 1, 4), THREE, STEPS, seed=5).to_frame()
    frame.loc[frame["subject"] == 0, "response"] = 0
    frame.loc[frame["subject"] == 1, "response"] = 3
    table = ps.ResponseTable.from_frame(frame, response="response", subject="subject", item="item", facets=("judge",))
    for engine in (ps.JointML(), CORRECTED):
        fit = ps.fit(ps.ManyFacetRasch(), table, engine=engine)
        own = fit.estimates("subject").set_index("level")
        assert own[["estimate", "se", "lower", "upper"]].notna().all(axis=None)
        assert own.loc[0, "estimate"] == own["estimate"].min()
        assert own.loc[1, "estimate"] == own["estimate"].max()
        for method in ("ml", "wle", "eap", "map"):
            assert ps.score(fit, table, method=method).frame["estimate"].notna().all()


def test_where_there_is_nothing_to_correct(table):
    pairs = ps.PairTable.from_frame(
        pd.DataFrame({"a": ["x", "y"], "b": ["y", "x"], "won": ["left", "left"]}), left="a", right="b", outcome="won"
    )
    with pytest.raises(DesignError, match=r"BradleyTerry has no subjects: use JointML\(\)"):
        ps.fit(ps.BradleyTerry(), pairs, engine=CORRECTED)
    anchored = ps.ManyFacetRasch(anchors={"judge": {0: 0.5}})
    with pytest.raises(DesignError, match=r"shrinks all locations.*'judge' of ManyFacetRasch \(anchored, or a slope\)"):
        ps.fit(anchored, table, engine=CORRECTED)
    with pytest.raises(DesignError, match=r"'judge_slope' of ManyFacetRasch \(anchored, or a slope\)"):
        ps.fit(ps.ManyFacetRasch(slopes=("judge",)), table, engine=CORRECTED)
    with pytest.raises(DataError, match=r"JointML\(correction='half'\) is not known: use \['none', 'wright_douglas'\]"):
        ps.JointML(correction="half")


def test_corrected_estimates_are_no_maximum(corrected, table):
    with pytest.raises(DesignError, match=r"robust_errors: bias-corrected estimates are no maximum"):
        ps.robust_errors(corrected, table)


def test_an_unfinished_fit_is_not_corrected(table):
    engine = replace(CORRECTED, max_iterations=1)
    fit = ps.fit(ps.ManyFacetRasch(), table, engine=engine, throw=False)
    assert not fit.status.converged
    assert not any("corrected for bias" in note for note in fit.notes)
