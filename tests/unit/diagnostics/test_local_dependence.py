"""Residual correlations against a naive loop, planted dependence, flags and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rated_world import extreme_subjects, naive_posterior, naive_probabilities, naive_steps, rated_frame, rated_table

import psymetric as ps
from psymetric.errors import DataError

NAIVE = 1e-6  # the posterior means of the two grids


def naive_residuals(fit, table) -> pd.DataFrame:
    """x − E at the posterior mean of each subject, row by row, from the definition of the model."""
    value = {facet: dict(fit.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("item", "judge")}
    means = {}
    for subject in table.levels["subject"]:
        grid, weight = naive_posterior(fit, table, subject)
        means[subject] = grid @ weight
    frame, steps = table.to_frame(), naive_steps(fit)
    expected = [
        naive_probabilities(means[row.subject], value["item"][row.item] + value["judge"][row.judge], steps)
        @ np.arange(4)
        for row in frame.itertuples()
    ]
    score = [fit.categories.index(response) for response in frame["response"]]
    return frame.assign(residual=np.array(score) - np.array(expected))


@pytest.mark.parametrize("facet", ["item", "judge"])
def test_correlations_of_mean_residuals(marginal, table, facet):
    cells = naive_residuals(marginal, table).pivot_table(index="subject", columns=facet, values="residual")
    expected, found = cells.corr(), ps.residual_correlations(marginal, table, facet=facet)
    assert len(found) == 3
    for row in found.itertuples():
        assert row.q3 == pytest.approx(expected.loc[row.first, row.second], abs=NAIVE)
        assert row.subjects == cells[[row.first, row.second]].notna().all(axis=1).sum()
        assert row.se == pytest.approx((1 - row.q3**2) / np.sqrt(row.subjects - 1))
    np.testing.assert_allclose(found["q3_corrected"], found["q3"] - found["q3"].mean())
    assert found["q3_corrected"].is_monotonic_decreasing


def test_a_judge_who_copies_is_found():
    frame = rated_frame(subjects=150, seed=8)
    ann = frame[frame["judge"] == "ann"].set_index(["text", "item"])["stars"]
    dan = ann.rename("stars").reset_index().assign(judge="dan")
    table = rated_table(pd.concat([frame, dan]))
    found = ps.residual_correlations(ps.fit(ps.ManyFacetRasch(), table), table, facet="judge")
    assert {found["first"][0], found["second"][0]} == {"ann", "dan"}
    assert found["q3"][0] == pytest.approx(1.0, abs=0.05)
    assert found["flag"][0].startswith("dependent: ")
    assert not found["flag"][1:].str.startswith("dependent").any()


def test_joint_fits_use_their_measures_and_leave_extremes_out(joint, table):
    found = ps.residual_correlations(joint, table, facet="judge")
    value = {
        facet: dict(joint.estimates(facet)[["level", "estimate"]].to_numpy()) for facet in ("subject", "item", "judge")
    }
    frame = table.to_frame()
    frame = frame[~frame["subject"].isin(extreme_subjects(joint))]
    steps = naive_steps(joint)
    frame["residual"] = [
        joint.categories.index(row.response)
        - naive_probabilities(
            value["subject"][row.subject], value["item"][row.item] + value["judge"][row.judge], steps
        ) @ np.arange(4)
        for row in frame.itertuples()
    ]  # fmt: skip
    expected = frame.pivot_table(index="subject", columns="judge", values="residual").corr()
    for row in found.itertuples():
        assert row.q3 == pytest.approx(expected.loc[row.first, row.second], abs=1e-9)


def test_rows_of_weight_zero_are_absent(marginal, frame):
    keep = np.arange(len(frame)) % 5 > 0
    dropped = ps.residual_correlations(marginal, rated_table(frame[keep]))
    weighted = ps.residual_correlations(marginal, rated_table(frame.assign(n=keep * 1.0), weight="n"))
    pd.testing.assert_frame_equal(dropped, weighted)


def test_flags_say_why(marginal, frame):
    met = frame["text"].isin(["s1", "s2", "s3"]) | ((frame["judge"] == "cat") & frame["text"].isin(["s4", "s5"]))
    found = ps.residual_correlations(marginal, rated_table(frame[met]), facet="judge")
    assert found["flag"].str.fullmatch(r"only [123] shared subjects: too few to compare").all()
    assert found[["q3", "q3_corrected"]].isna().all(axis=None)
    nine = rated_table(frame[frame["text"].isin([f"s{k}" for k in range(9)])])
    few = ps.residual_correlations(marginal, nine, threshold=0.02)
    assert few["flag"].str.startswith("within chance of 9 subjects: ").any()


def test_constant_residuals_have_no_correlation(marginal, frame):
    """Five subjects alike: their residuals do not vary."""
    one = frame[frame["text"] == "top"]
    alike = pd.concat([one.assign(text=f"c{k}") for k in range(5)])
    found = ps.residual_correlations(marginal, rated_table(alike))
    assert (found["flag"] == "residuals do not vary: no correlation").all()


def test_refusals(marginal, table, frame, pairs, worths):
    with pytest.raises(DataError, match="residual_correlations: BradleyTerry has no subjects"):
        ps.residual_correlations(worths, pairs)
    with pytest.raises(DataError, match="facet='subject' cannot be compared over subjects"):
        ps.residual_correlations(marginal, table, facet="subject")
    with pytest.raises(DataError, match="residual_correlations: the table has no facet 'prompt'"):
        ps.residual_correlations(marginal, table, facet="prompt")
    with pytest.raises(DataError, match="facet 'item' has the single level 'i1': nothing to compare"):
        ps.residual_correlations(marginal, rated_table(frame[frame["item"] == "i1"]))
    with pytest.raises(DataError, match="threshold=2 is not a distance between correlations"):
        ps.residual_correlations(marginal, table, threshold=2)
    nested = frame[frame["judge"].map({"ann": 0, "bob": 1, "cat": 2}) == frame["text"].str[-1:].map(ord) % 3]
    with pytest.raises(DataError, match="no subject met two levels of 'judge'"):
        ps.residual_correlations(marginal, rated_table(nested), facet="judge")
    broken = replace(marginal, levels={**marginal.levels, "judge": ("ann", "bob", "eve")})
    with pytest.raises(DataError, match="residual_correlations: judge not in the fit"):
        ps.residual_correlations(broken, table)
