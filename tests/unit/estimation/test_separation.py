"""Comparisons that determine no maximum: named before the search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError, IdentificationError

NAMES = np.array(list("abcdef"))


def votes(seed: int = 1, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 6, n)
    frame = pd.DataFrame({"left": NAMES[left], "right": NAMES[(left + rng.integers(1, 6, n)) % 6]})
    frame["winner"] = rng.choice(["left", "right"], n)
    frame["judge"] = np.array(["j1", "j2", "j3"])[rng.integers(0, 3, n)]
    return frame.assign(length=rng.normal(0, 1, n).round(1))


def table(frame: pd.DataFrame, **settings) -> ps.PairTable:
    facets = [name for name in frame.columns if name not in ("left", "right", "winner")]
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner", facets=facets, **settings)


def refused(model: ps.BradleyTerry, data: ps.PairTable, message: str, kind: type = IdentificationError) -> None:
    with pytest.raises(kind, match=message):
        ps.fit(model, data)


def test_a_contest_covariate_that_decides_everything():
    frame = votes()
    frame["winner"] = np.where(frame["length"] >= 0, "left", "right")
    refused(
        ps.BradleyTerry(contest="length"),
        table(frame),
        r"separated: length_weight 'length' by \+1.00, and all of the \d+ comparisons .* go the way it points",
    )


def test_a_prior_holds_what_is_separated():
    frame = votes()
    frame["winner"] = np.where(frame["length"] >= 0, "left", "right")
    fit = ps.fit(ps.BradleyTerry(contest="length"), table(frame), engine=ps.MAP())
    assert fit.parameters["length_weight"][0] > 2
    assert fit.penalised


def test_one_comparison_the_other_way_is_enough():
    frame = votes()
    frame["winner"] = np.where(frame["length"] >= 0, "left", "right")
    against = frame.assign(winner=frame["winner"].map({"left": "right", "right": "left"}))
    assert ps.fit(ps.BradleyTerry(contest="length"), table(pd.concat([frame, against[:40]]))).status.converged


def test_a_judge_who_always_takes_the_first():
    frame = votes()
    frame.loc[frame["judge"] == "j2", "winner"] = "left"
    n = int((frame["judge"] == "j2").sum())
    refused(ps.BradleyTerry(position="judge"), table(frame), rf"separated: position of judge 'j2' by \+1.00.* {n} comp")


def test_a_contest_covariate_beside_the_position():
    """One that differs from a constant in two rows only is still determined; a constant one is not."""
    frame = votes().assign(length=1.0)
    refused(ps.BradleyTerry(contest="length", position=True), table(frame), "1 in every comparison", DataError)
    frame = votes().assign(twice=lambda rows: 2 * rows["length"])
    refused(
        ps.BradleyTerry(contest=("length", "twice")),
        table(frame),
        "do not determine every parameter: moving .*length_weight 'length' by .*twice_weight 'twice' by",
    )


def test_a_contest_covariate_that_the_items_make():
    """A difference of what belongs to the items is a difference of their worths."""
    frame, size = votes(), dict(zip(NAMES, [1.0, 4, 2, 8, 5, 7], strict=True))
    frame["length"] = frame["left"].map(size) - frame["right"].map(size)
    message = r"moving length_weight 'length' by [+-]1.00, and items with it, changes no probability"
    refused(ps.BradleyTerry(contest="length"), table(frame), message)


def test_covariates_of_items():
    known = pd.DataFrame({"size": [1, 2, 4, 3, 6, 5], "same": 1, "double": [2, 4, 8, 6, 12, 10]}, index=NAMES)
    data = table(votes(), items=known)
    refused(ps.BradleyTerry(covariates="same"), data, "covariate 'same' is the same for every item", DataError)
    refused(ps.BradleyTerry(covariates=("size", "double")), data, "are not independent of each other", DataError)
    refused(
        ps.BradleyTerry(covariates="judge"), data, "tells comparisons apart and not the levels of 'item'", DataError
    )
    refused(ps.BradleyTerry(covariates="brand"), data, r"the attribute 'brand' of the items, and the table", DataError)
    assert ps.fit(ps.BradleyTerry(covariates="size"), data).n_parameters == 1


def test_covariates_need_no_strong_connection():
    frame = votes()
    frame.loc[frame["left"] == "a", "winner"] = "left"
    frame.loc[frame["right"] == "a", "winner"] = "right"
    known = pd.DataFrame({"size": [1, 2, 4, 3, 6, 5]}, index=NAMES)
    refused(ps.BradleyTerry(), table(frame), "'a'.* always won")
    assert ps.fit(ps.BradleyTerry(covariates="size"), table(frame, items=known)).status.converged


def test_judges_with_too_few_comparisons():
    frame = votes()
    frame.loc[0, "judge"] = "j4"
    model = ps.BradleyTerry(slopes=("judge",))
    refused(model, table(frame), r"1 of 4 levels of 'judge' have too few comparisons for 1 parameter\(s\).*'j4' \(1\)")
    assert ps.fit(model, table(frame), engine=ps.MAP()).status.converged


def test_judges_who_never_tie():
    frame = votes()
    frame.loc[(frame["judge"] == "j1") & (frame.index % 3 == 0), "winner"] = "tie"
    model = ps.BradleyTerry(ties="davidson", tie_owner="judge")
    refused(model, table(frame), r"2 of 3 levels of 'judge' have no tie, or nothing else: 'j2' \(0 of \d+\)")


def test_facets_that_cannot_own():
    one = votes().assign(judge="j1")
    refused(ps.BradleyTerry(position="judge"), table(one), r"\(position='judge'\): the facet has one level", DataError)
    refused(ps.BradleyTerry(position="rater"), table(one), "reads facet 'rater', which the table does not", DataError)
    text = votes().assign(length="long")
    refused(ps.BradleyTerry(contest="length"), table(text), "holds 'long', which is no number", DataError)
