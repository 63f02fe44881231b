"""The whole chain offline: plan, ask over loopback HTTP, table, fit, and the truth inside the intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from psymetric.administration.tables import to_table
from psymetric.design.study import Study
from psymetric.estimation.fitting import fit
from psymetric.estimation.joint_ml import JointML
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.simulation.drawing import Spread
from psymetric.simulation.server import Faults
from psymetric.simulation.studies import simulate

RUBRIC = """
study: rehearsal
instrument: empathy-rubric
subjects: {from: support-conversations, id: id, text: conversation}
judges: [{name: mild}, {name: stern, key_env: A_KEY_THAT_IS_NOT_SET}]
facets: {template: [direct, evidence], order: reversed, label: [letters, numbers]}
design: {kind: fractional, calls: 576}
"""
PAIRS = """
study: pairs
instrument: pairwise-empathy
subjects: {from: support-conversations, id: id, text: conversation}
judges: [{name: mild}]
design: {kind: fractional, calls: 120}
readout: logprob
"""
INVENTORY = """
study: models
instrument: big-five-20
subjects: [{name: m}, {name: n}]
personas: [{name: plain}, {name: shy, prompt: You are shy.}]
facets: {template: all}
"""


def test_a_study_is_rehearsed_and_its_truth_recovered() -> None:
    found = simulate(Study.from_text(RUBRIC), spread=Spread(refusal=0.05), seed=11)
    assert found.responses.complete
    assert len(found.frame) == 576
    # Four standard errors of a share of 576.
    assert found.responses.counts["refusal"] / 576 == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 576) ** 0.5)
    assert set(found.responses.counts) == {"answered", "refusal"}
    facets = ("item", "judge", "template", "order", "label")
    fitted = fit(ManyFacetRasch(facets=facets, steps="item"), to_table(found.plan, found.frame), engine=JointML())
    truth = found.truth()
    hits = total = 0
    for facet in ("subject", *facets):
        rows = truth[truth["facet"] == facet].merge(fitted.estimates(facet).astype({"level": "str"}), on="level")
        hits += int(((rows["lower"] <= rows["true"]) & (rows["true"] <= rows["upper"])).sum())
        total += len(rows)
    assert total == 24 + 3 + 2 + 2 + 2 + 2
    # The .001 quantile of a binomial of 35 at .95 is 28.
    assert hits >= 28


def test_the_same_seed_gives_the_same_answers_whatever_goes_wrong(tmp_path: Path) -> None:
    study = Study.from_text(RUBRIC.replace("576", "144"))
    calm = simulate(study, seed=2)
    stormy = simulate(
        study, seed=2, faults=Faults(rate_limited=0.2, server_error=0.05, malformed=0.05), store=tmp_path / "run.db"
    )
    assert stormy.responses.complete
    assert calm.frame["category"].equals(stormy.frame["category"])
    assert (stormy.frame["attempts"] > 1).any()
    assert (tmp_path / "run.db").exists()
    other = simulate(study, seed=3)
    assert not calm.frame["category"].equals(other.frame["category"])


def test_a_store_is_continued_at_the_same_port(tmp_path: Path) -> None:
    study = Study.from_text(RUBRIC.replace("576", "144"))
    first = simulate(study, store=tmp_path / "run.db")
    port = int(str(first.plan.endpoint(0).base_url).split(":")[2].split("/")[0])
    again = simulate(study, store=tmp_path / "run.db", port=port)
    assert again.responses.spent.calls == first.responses.spent.calls == 144


def test_pairs_by_log_probabilities() -> None:
    found = simulate(Study.from_text(PAIRS), spread=Spread(refusal=0.0), seed=4)
    assert found.responses.complete
    assert found.frame["mass"].astype(float).min() > 0.99
    table = to_table(found.plan, found.frame)
    assert table.weight.sum() == pytest.approx(120)
    assert set(found.truth()["facet"]) == {"item", "position", "tie"}


def test_models_under_personas() -> None:
    found = simulate(Study.from_text(INVENTORY), seed=5)
    assert len(found.frame) == 2 * 2 * 20 * 3
    assert found.responses.complete
    truth = found.truth()
    assert set(truth[truth["facet"] == "subject"]["level"]) == {"m/plain", "m/shy", "n/plain", "n/shy"}
    assert truth["trait"].nunique() == 5
