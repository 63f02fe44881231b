from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from psymetric.data.responses import ResponseTable
from psymetric.design.rendering import render
from psymetric.estimation.fitting import fit
from psymetric.estimation.joint_ml import JointML
from psymetric.instruments import load_instrument
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.simulation.drawing import Spread, draw_world
from psymetric.simulation.reading import Reader
from psymetric.simulation.respond import option_probabilities
from psymetric.simulation.truth import World
from psymetric.simulation.truth_table import truth_frame

ORDERS = ["original", "reversed"]


def rubric(option_position: float = 0.0) -> World:
    instrument = load_instrument("empathy-rubric")
    return draw_world(
        instrument,
        subjects={f"s{i}": [f"text {i}"] for i in range(6)},
        judges=["m", "n", "o"],
        facets={"template": list(instrument.templates), "order": ORDERS, "label": ["letters", "numbers"]},
        spread=Spread(option_position=option_position),
        seed=8,
    )


def exact_table(world: World, levels: dict[str, list[str]]) -> ResponseTable:
    """What infinitely many answers would be: every category of every cell, weighted by its probability."""
    reader, rows = Reader(world), []
    for subject in world.subjects:
        for item in world.items:
            for judge in world.judges:
                for template in levels["template"]:
                    for order in levels["order"]:
                        prompt = render(world.instrument, item=item.name, texts=subject.texts, template=template,
                                        order=order)  # fmt: skip
                        sent = [{"role": role, "content": content} for role, content in prompt.messages]
                        question, found = reader.read(judge.name, sent)
                        shown = option_probabilities(world, judge, question, found)
                        cell = (subject.name, item.name, judge.name, template, order)
                        rows += [(*cell, value, p) for value, p in zip(prompt.values, shown, strict=True)]
    names = ["subject", "item", "judge", "template", "order", "x", "p"]
    frame = pd.DataFrame(rows, columns=names)
    facets = ("judge", "template", "order")
    return ResponseTable.from_frame(frame, response="x", subject="subject", item="item", facets=facets, weight="p")


@pytest.mark.parametrize("option_position", [0.0, 0.8])
def test_truth_is_what_unlimited_answers_would_give(option_position: float) -> None:
    """The model fitted to exact probabilities returns the truth: signs, centring and origin, in every facet."""
    world = rubric(option_position)
    levels = {"template": list(world.shifts["template"])[:2], "order": ORDERS, "label": ["letters"]}
    model = ManyFacetRasch(facets=("item", "judge", "template", "order"), steps="item")
    found = fit(model, exact_table(world, levels), engine=JointML())
    truth = truth_frame(world, levels=levels)
    compared = 0
    for facet in ("subject", "item", "judge", "template", "order"):
        both = truth[truth["facet"] == facet].merge(found.estimates(facet).astype({"level": "str"}), on="level")
        np.testing.assert_allclose(both["estimate"], both["true"], atol=1e-3)
        compared += len(both)
    assert compared == 6 + 3 + 3 + 2 + 2
    steps = found.estimates("step").merge(truth[truth["facet"] == "step"], left_on=["group", "step"],
                                          right_on=["level", "step"])  # fmt: skip
    assert len(steps) == 6
    np.testing.assert_allclose(steps["estimate"], steps["true"], atol=1e-3)


def test_facets_are_centred_and_what_is_taken_goes_to_the_subjects() -> None:
    world = rubric()
    truth = truth_frame(world)
    facets = ("item", "judge", "template", "order", "label")
    assert (truth[truth["facet"].isin(facets)].groupby("facet")["true"].sum().abs() < 1e-12).all()
    lifted = replace(world, judges=tuple(replace(judge, severity=judge.severity + 1) for judge in world.judges))
    before, after = (t[t["facet"] == "subject"]["true"].to_numpy() for t in (truth, truth_frame(lifted)))
    np.testing.assert_allclose(after, before - 1)
    assert truth["trait"].isna().all()
    some = truth_frame(world, levels={"judge": ["m", "n"], "subject": ["s1"]})
    assert some[some["facet"] == "judge"]["true"].sum() == pytest.approx(0)
    assert len(some[some["facet"] == "judge"]) == 2
    assert len(some[some["facet"] == "subject"]) == 1


def test_order_is_left_out_where_no_severity_describes_it() -> None:
    with_taste = truth_frame(rubric(0.5), levels={"order": ["original", "2-3-1"]})
    assert "order" not in set(with_taste["facet"])
    assert "order" in set(truth_frame(rubric(0.0), levels={"order": ["original", "2-3-1"]})["facet"])


def test_inventories_have_rows_for_every_trait() -> None:
    instrument = load_instrument("big-five-20")
    world = draw_world(
        instrument, subjects={"m": [], "n": []}, judges=["m", "n"], facets={"template": ["direct", "form"]}
    )
    truth = truth_frame(world)
    assert truth["trait"].nunique() == 5
    assert "judge" not in set(truth["facet"])
    assert (truth[truth["facet"] == "item"].groupby("trait")["true"].sum().abs() < 1e-12).all()
    subjects = truth[truth["facet"] == "subject"].set_index(["trait", "level"])["true"]
    expected = pd.Series({(t, s.name): v for s in world.subjects for t, v in s.measures.items()})
    np.testing.assert_allclose(subjects, expected.loc[subjects.index])


def test_pairs_have_worths_position_and_tie() -> None:
    texts = {f"s{i}": [f"text {i}"] for i in range(4)}
    world = draw_world(
        load_instrument("pairwise-empathy"), subjects=texts, judges=["m"], spread=Spread(first_position=0.7)
    )
    truth = truth_frame(world).set_index("facet")["true"]
    assert truth["item"].sum() == pytest.approx(0)
    assert (truth["position"], truth["tie"]) == (0.7, world.tie)
    taste = replace(world, judges=(replace(world.judges[0], option_position=0.4),))
    # The options say first, second, tie; their places are worth .4, .2 and 0.
    shifted = truth_frame(taste).set_index("facet")["true"]
    assert shifted["position"] == pytest.approx(0.9)
    assert shifted["tie"] == pytest.approx(world.tie - 0.2)
    assert set(truth_frame(taste, levels={"order": ORDERS})["facet"]) == {"item"}
