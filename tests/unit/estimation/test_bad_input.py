"""What `fit` says when a table or a setting cannot give an answer, and what it still answers."""

from __future__ import annotations

import model_cases
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import ConvergenceError, DataError, DesignError, IdentificationError

ITEM_ONLY = ps.ManyFacetRasch(facets=("item",))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return model_cases.response_frame(3)


def table(frame: pd.DataFrame, weight: str | None = None) -> ps.ResponseTable:
    return model_cases.response_table(frame, weight)


def pairs(rows: str) -> ps.PairTable:
    """From winners and losers written "a>b a>c"."""
    frame = pd.DataFrame([row.split(">") for row in rows.split()], columns=["winner", "loser"]).assign(out="left")
    return ps.PairTable.from_frame(frame, left="winner", right="loser", outcome="out")


# --------------------------------------------------------------------------------------------------- arguments


def test_not_a_model_or_table_or_engine(frame):
    with pytest.raises(DataError, match=r"the model is a str; pass one such as ManyFacetRasch\(\)"):
        ps.fit("MFRM", table(frame))
    with pytest.raises(DataError, match=r"the table is a DataFrame; make one with ResponseTable\.from_frame"):
        ps.fit(ps.ManyFacetRasch(), frame)
    with pytest.raises(DataError, match=r"engine='NUTS' is not an engine: use MarginalML\(\)"):
        ps.fit(ps.ManyFacetRasch(), table(frame), engine="NUTS")


def test_unknown_facet(frame):
    with pytest.raises(DataError, match=r"reads facet 'rater', which the table does not have: its facets are \['item'"):
        ps.fit(ps.ManyFacetRasch(facets=("item", "rater")), table(frame))


def test_wrong_kind_of_table(frame):
    with pytest.raises(DataError, match=r"ManyFacetRasch needs a ResponseTable, got a PairTable"):
        ps.fit(ps.ManyFacetRasch(), pairs("a>b b>a"))
    with pytest.raises(DataError, match=r"BradleyTerry needs a PairTable, got a ResponseTable"):
        ps.fit(ps.BradleyTerry(), table(frame))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": "rater"}, r"ManyFacetRasch\(steps=\.\.\.\) names \['rater'\], not among its facets"),
        ({"random": ("rater",)}, r"ManyFacetRasch\(random=\.\.\.\) names \['rater'\]"),
        ({"anchors": {"rater": {"a": 0.0}}}, r"ManyFacetRasch\(anchors=\.\.\.\) names \['rater'\]"),
        ({"interactions": (("judge", "rater"),)}, r"ManyFacetRasch\(interactions=\.\.\.\) names \['rater'\]"),
        ({"interactions": (("judge", "judge"),)}, r"must pair two different facets"),
        ({"facets": ("item", "item")}, r"must list each facet once and leave out 'subject'"),
        ({"random": ("judge",), "anchors": {"judge": {"j1": 0.0}}}, r"\['judge'\] cannot be both random and anchored"),
    ],
)
def test_settings_that_contradict(settings, message):
    with pytest.raises(DesignError, match=message):
        ps.ManyFacetRasch(**settings)


def test_engine_settings():
    with pytest.raises(DataError, match=r"JointML\(adjustment=0.7\) must lie between 0 and 0.5 score points"):
        ps.JointML(adjustment=0.7)
    with pytest.raises(DataError, match=r"Laplace\(draws=1\) needs at least 2 draws"):
        ps.Laplace(draws=1)
    with pytest.raises(DataError, match=r"needs warmup >= 1, draws >= 4, chains >= 1"):
        ps.NUTS(chains=0)
    with pytest.raises(
        DataError, match=r"BradleyTerry\(ties='rao'\) is not known: use None or one of \['davidson', 'rao_kupper'\]"
    ):
        ps.BradleyTerry(ties="rao")


def test_unknown_anchor_level(frame):
    with pytest.raises(DesignError, match=r"anchors of 'judge' name \['j9'\], not among its levels \['j1', 'j2', 'j3'"):
        ps.fit(ps.ManyFacetRasch(anchors={"judge": {"j9": 0.0}}), table(frame))


def test_engine_that_cannot_fit_the_model(frame):
    with pytest.raises(DesignError, match=r"JointML cannot estimate the sd of random facet 'judge': use MarginalML"):
        ps.fit(ps.ManyFacetRasch(random=("judge",)), table(frame), engine=ps.JointML())
    with pytest.raises(DesignError, match=r"MarginalML integrates over subjects, and BradleyTerry has none: use Joint"):
        ps.fit(ps.BradleyTerry(), pairs("a>b b>a"), engine=ps.MarginalML())


# ------------------------------------------------------------------------------------------------ identification


def test_one_judge_fits_and_says_so(frame):
    fit = ps.fit(ps.ManyFacetRasch(), table(frame[frame["judge"] == "j2"]))
    judge = fit.estimates("judge").iloc[0]
    assert (judge["estimate"], judge["se"], judge["note"]) == (0.0, 0.0, "one level: fixed at zero")
    assert any("facet 'judge' has one level (j2): its location is not identified" in note for note in fit.notes)
    assert "facet 'judge' has one level" in fit.summary()


def test_disconnected_judges(frame):
    apart = frame[(frame["judge"] == "j1") == (frame["subject"] < "s2")]
    with pytest.raises(DesignError, match=r"2 disconnected subsets.*subset 1 .*judge .*Or anchor levels, or declare"):
        ps.fit(ps.ManyFacetRasch(facets=("judge",)), table(apart))


def test_nested_facets(frame):
    nested = frame[(frame["judge"] == "j1") == (frame["item"] == "i1")]
    with pytest.raises(DesignError, match=r"'item' and 'judge' are nested"):
        ps.fit(ps.ManyFacetRasch(), table(nested))


def test_joint_estimates_of_subjects_nested_in_judges(frame):
    nested = frame[(frame["judge"] == "j1") == (frame["subject"] < "s2")]
    with pytest.raises(DesignError, match=r"'subject' and 'judge' are nested"):
        ps.fit(ps.ManyFacetRasch(), table(nested), engine=ps.JointML())


@pytest.mark.parametrize(
    ("facet", "level", "value", "side"), [("item", "i3", 2, "maximum"), ("judge", "j1", 0, "minimum")]
)
def test_extreme_level(frame, facet, level, value, side):
    extreme = frame.assign(rating=np.where(frame[facet] == level, value, frame["rating"]))
    message = rf"1 of 3 levels of '{facet}' have an extreme score: '{level}' \(all {side}\)\. All 36 responses"
    with pytest.raises(IdentificationError, match=message):
        ps.fit(ps.ManyFacetRasch(), table(extreme))
    anchors = {facet: {level: 3.0 if side == "minimum" else -3.0, f"{facet[0]}2": 0.0}}
    for model in (ps.ManyFacetRasch(random=(facet,)), ps.ManyFacetRasch(anchors=anchors)):
        assert np.all(np.isfinite(ps.fit(model, table(extreme)).parameters[facet]))


def test_interaction_cells(frame):
    model = ps.ManyFacetRasch(interactions=(("judge", "item"),))
    cell = (frame["judge"] == "j2") & (frame["item"] == "i3")
    with pytest.raises(
        IdentificationError, match=r"1 of 9 cells have no response, the first at judge = 'j2', item = 'i3'"
    ):
        ps.fit(model, table(frame[~cell]))
    with pytest.raises(IdentificationError, match=r"1 of 9 cells have only lowest or only highest responses"):
        ps.fit(model, table(frame.assign(rating=np.where(cell, 2, frame["rating"]))))


def test_every_subject_is_extreme():
    rows = [(f"s{s}", item, s % 2) for s in range(10) for item in ("a", "b")]
    extreme = ps.ResponseTable.from_frame(
        pd.DataFrame(rows, columns=["s", "i", "x"]), response="x", subject="s", item="i"
    )
    with pytest.raises(DataError, match=r"JointML: every response belongs to a subject or level with an extreme score"):
        ps.fit(ps.Rasch(), extreme, engine=ps.JointML())


def test_some_subjects_are_extreme(frame):
    extreme = frame.assign(rating=np.where(frame["subject"] == "s3", 2, frame["rating"]))
    fit = ps.fit(ps.ManyFacetRasch(), table(extreme), engine=ps.JointML())
    row = fit.estimates("subject").set_index("level").loc["s3"]
    assert row["note"] == "extreme score (maximum)"
    assert row["estimate"] == fit.estimates("subject")["estimate"].max()
    assert np.isfinite(row["se"])
    assert any("1 of 12 levels of 'subject' have an extreme score" in note for note in fit.notes)
    assert ps.fit(ps.ManyFacetRasch(), table(extreme)).status.converged


def test_bradley_terry_item_that_only_wins():
    with pytest.raises(IdentificationError, match=r"\['a'\] always won.*Or give the worths a prior: engine=MAP\(\)"):
        ps.fit(ps.BradleyTerry(), pairs("a>b a>c b>c c>b"))
    fit = ps.fit(ps.BradleyTerry(), pairs("a>b a>c b>c c>b"), engine=ps.MAP())
    assert fit.penalised
    assert fit.estimates("item")["estimate"].idxmax() == 0


def test_bradley_terry_disconnected_items():
    with pytest.raises(IdentificationError, match=r"2 disconnected subsets.*\['a', 'b'\].*\['c', 'd'\]"):
        ps.fit(ps.BradleyTerry(), pairs("a>b b>a c>d d>c"))


def test_subjects_that_do_not_differ(frame):
    """Every subject has each category three times: the sd's maximum is at zero, which is a result and no error."""
    alike = frame.assign(rating=sum(pd.factorize(frame[name])[0] for name in ("subject", "item", "judge")) % 3)
    fit = ps.fit(ps.ManyFacetRasch(), table(alike))
    assert fit.status.converged
    row = fit.estimates("population").set_index("level").loc["population_sd"]
    assert row["estimate"] == pytest.approx(0.01)
    assert np.isnan(row["se"])
    assert any("population_sd is at its lower bound of 0.01 logits" in note for note in fit.notes)
    assert fit.estimates("judge")["se"].gt(0).all()


def test_one_subject(frame):
    one = frame[frame["subject"] == "s1"].assign(rating=[0, 1, 2, 1, 2, 0, 1, 1, 2])
    fit = ps.fit(ps.ManyFacetRasch(), table(one))
    assert any("population_sd is at its lower bound" in note for note in fit.notes)


# ---------------------------------------------------------------------------------------------------- categories


def test_single_category(frame):
    with pytest.raises(DataError, match=r"every response in 'rating' is 1 \(108 rows\), so nothing can be compared"):
        table(frame.assign(rating=1))


def test_level_without_weight(frame):
    weighted = frame.assign(w=np.where(frame["judge"] == "j3", 0.0, 1.0))
    with pytest.raises(DesignError, match=r"disconnected subsets.*'j3'"):
        ps.fit(ps.ManyFacetRasch(), table(weighted, "w"))


def test_two_categories(frame):
    binary = frame.assign(rating=(frame["rating"] > 0).astype(int))
    fit = ps.fit(ps.ManyFacetRasch(), table(binary))
    same = ps.fit(ps.ManyFacetRasch(steps="judge"), table(binary))
    assert fit.log_likelihood == pytest.approx(same.log_likelihood, abs=1e-6)
    assert not fit.parameters["step"].any()


@pytest.mark.thorough
def test_many_categories():
    rng = np.random.default_rng(1)
    rows = [(f"s{s}", f"i{i}", int(np.clip(rng.normal(20 + s, 6), 0, 40))) for s in range(30) for i in range(12)]
    wide = ps.ResponseTable.from_frame(
        pd.DataFrame(rows, columns=["s", "i", "x"]), response="x", subject="s", item="i", categories=list(range(41))
    )
    fit = ps.fit(ITEM_ONLY, wide)
    steps = fit.estimates("step")
    unused = set(range(41)) - {x for _, _, x in rows}
    joins_unused = {k for k in range(1, 41) if unused & {k - 1, k}}
    assert set(steps.loc[steps["estimate"].isna(), "category"]) == joins_unused
    used = steps["estimate"].notna()
    assert np.isfinite(steps.loc[used, "se"]).all()


@pytest.mark.parametrize("category", [1, 3], ids=["middle", "top"])
def test_category_that_one_item_never_used(category):
    """The item's likelihood is that of its own shorter scale: the category counts as out of reach."""
    frame = model_cases.response_frame(4)
    moved = {1: 2, 3: 2}[category]
    one = frame.assign(rating=np.where((frame["item"] == "i2") & (frame["rating"] == category), moved, frame["rating"]))
    fit = ps.fit(ps.ManyFacetRasch(steps="item"), table(one), engine=ps.MAP())
    steps = fit.estimates("step").set_index(["group", "step"])
    missing = {1: [1, 2], 3: [3]}[category]
    assert steps.loc["i2", "estimate"].isna().to_list() == [k in missing for k in (1, 2, 3)]
    assert steps.loc["i2", "note"].ne("").to_list() == [k in missing for k in (1, 2, 3)]
    assert steps.loc[["i1", "i3"], "estimate"].notna().all()


# ----------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("engine", [ps.MarginalML, ps.JointML, ps.MAP], ids=lambda e: e.__name__)
def test_stopped_too_early(engine):
    import engine_cases

    responses = engine_cases.table(engine_cases.frame())
    with pytest.raises(ConvergenceError, match=rf"{engine.__name__} did not converge: last Newton step") as caught:
        ps.fit(ps.ManyFacetRasch(), responses, engine=engine(max_iterations=1))
    fit = ps.fit(ps.ManyFacetRasch(), responses, engine=engine(max_iterations=1), throw=False)
    assert caught.value.fit is not None
    for unfinished in (fit, caught.value.fit):
        assert not unfinished.status.converged
        assert "NOT CONVERGED" in unfinished.summary()
        assert np.isnan(unfinished.standard_errors["judge"]).all()
        assert any("not converged" in note for note in unfinished.notes)


def test_part_that_cannot_be_fitted_is_named(frame):
    parts = frame.assign(trait=np.where(frame["item"] == "i3", "cold", "warm"))
    parts.loc[parts["trait"] == "cold", "rating"] = 1
    whole = ps.ResponseTable.from_frame(
        parts, response="rating", subject="subject", item="item", facets=("judge",), dimension="trait"
    )
    with pytest.raises(DataError, match=r"^trait = cold: all responses fall in one category \(1\): nothing varies"):
        ps.fit_each(ps.ManyFacetRasch(), whole, by="trait")


def test_many_judges_of_few_ratings_are_noted():
    """120 judges of four ratings each; as draws from a population they are no parameters, and nothing is noted."""
    rng = np.random.default_rng(2)
    rows = [(f"s{k % 40}", f"j{k % 120}", int(rng.integers(0, 3))) for k in range(480)]
    rows += [(f"s{(k + 7) % 40}", f"j{k}", value) for k in range(120) for value in (0, 2)]
    frame = pd.DataFrame(rows, columns=["subject", "judge", "rating"])
    table = ps.ResponseTable.from_frame(frame, response="rating", subject="subject", facets=("judge",))
    fixed = ps.fit(ps.ManyFacetRasch(facets=("judge",)), table)
    assert any("120 fixed levels with about 6 responses each" in note for note in fixed.notes)
    drawn = ps.fit(ps.ManyFacetRasch(facets=("judge",), random=("judge",)), table)
    assert not any("fixed levels" in note for note in drawn.notes)
