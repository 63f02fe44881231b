"""Prevalence behind verdicts: judgy's example, the interval that judgy gets wrong, and judges that are of no use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.calibration.misclassification import drawn_prevalence, prevalence_limits
from psymetric.errors import DataError, IdentificationError

LABELS, VERDICTS, JUDGED = [1, 1, 0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 0, 1, 0, 1]


def test_the_example_of_judgy():
    """Its numbers are held in tests/oracle."""
    found = ps.rogan_gladen(LABELS, VERDICTS, JUDGED)
    row = found.frame.set_index("category").loc[1]
    assert row["judge_alone"] == 5 / 8
    assert "any prevalence" in found.notes[0]
    assert found.chances.loc[1, 1] == 0.75


def test_categories_may_be_text_and_their_order_does_not_matter():
    words = {1: "pass", 0: "fail"}
    named = ps.rogan_gladen(*([words[value] for value in part] for part in (LABELS * 9, VERDICTS * 9, JUDGED * 9)))
    plain = ps.rogan_gladen(LABELS * 9, VERDICTS * 9, JUDGED * 9)
    columns = ["estimate", "lower", "upper"]
    assert named.frame["category"].tolist() == ["fail", "pass"]
    np.testing.assert_allclose(named.frame[columns], plain.frame[columns])
    turned = ps.rogan_gladen(*(1 - np.array(part) for part in (LABELS * 9, VERDICTS * 9, JUDGED * 9)))
    np.testing.assert_allclose(turned.frame[columns], plain.frame[columns][::-1])


def test_three_categories_solve_the_confusion():
    """Labels and verdicts whose frequencies are those of a known matrix give back the shares behind them."""
    chance = np.array([[80, 15, 5], [10, 80, 10], [5, 25, 70]])
    label, verdict = (np.concatenate([np.full(n, c) for c, n in cells]) for cells in _cells(chance))
    truth = np.array([0.2, 0.5, 0.3])
    judged = np.repeat([0, 1, 2], np.round(truth @ chance / 100 * 2000).astype(int))
    found = ps.rogan_gladen(label, verdict, judged)
    np.testing.assert_allclose(found.frame["estimate"], truth, atol=1e-12)
    assert (found.frame["lower"] < truth).all()
    assert (found.frame["upper"] > truth).all()
    again = ps.rogan_gladen(label, verdict, judged)
    pd.testing.assert_frame_equal(found.frame, again.frame)


def _cells(chance):
    places = [(row, column) for row in range(3) for column in range(3)]
    return [[(place[axis], chance[place]) for place in places] for axis in (0, 1)]


def test_draws_are_shares_around_the_truth():
    counts = np.array([[800.0, 150, 50], [100, 800, 100], [50, 250, 700]])
    truth = np.array([0.2, 0.5, 0.3])
    drawn = drawn_prevalence(counts, truth @ counts * 100, 4000, np.random.default_rng(0))
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), truth, atol=4 * drawn.std(axis=0).max() / 10)


@pytest.mark.parametrize(("theta", "tpr", "tnr", "m", "n"), [(0.8, 0.9, 0.8, 200, 100), (0.8, 0.95, 0.95, 500, 100)])
def test_intervals_cover_where_judgy_does_not(theta, tpr, tnr, m, n):
    """judgy 0.1.0 covers .593 in the first case (150 runs of the package) and .308 in the second (defect 1)."""
    rng, runs = np.random.default_rng(1), 1000
    positive = rng.binomial(m, theta, runs)
    right = np.stack([rng.binomial(positive, tpr), rng.binomial(m - positive, tnr)], axis=1)
    judged = rng.binomial(n, theta * tpr + (1 - theta) * (1 - tnr), runs)
    of = np.stack([positive, m - positive], axis=1)
    ends = np.array([prevalence_limits(r, o, x, n, 0.95) for r, o, x in zip(right, of, judged, strict=True)])
    held = np.mean((ends[:, 0] <= theta) & (theta <= ends[:, 1]))
    assert abs(held - 0.95) < 3.3 * np.sqrt(0.95 * 0.05 / runs)
    # The fault that this test is for: the judged rows taken for all there are.
    fixed = [prevalence_limits(r, o, x * 1e4, n * 1e4, 0.95) for r, o, x in zip(right, of, judged, strict=True)]
    assert np.mean([low <= theta <= high for low, high in fixed]) < 0.75


def test_a_judge_of_no_use_is_an_error_or_leaves_all_open():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 300)
    barely = np.where(np.arange(300) < 8, label, 1 - label[::-1])
    with pytest.raises(IdentificationError, match=r"rogan_gladen: of the labels 0 the judge repeats 0\.\d\d.*coins"):
        ps.rogan_gladen(label, 1 - label, label)
    found = ps.rogan_gladen([0] * 100 + [1] * 100, [0] * 51 + [1] * 49 + [0] * 49 + [1] * 51, barely)
    assert found.frame[["lower", "upper"]].to_numpy().tolist() == [[0, 1], [0, 1]]
    assert found.notes
    with pytest.raises(IdentificationError, match="do not tell 3 categories apart"):
        ps.rogan_gladen([0, 1, 2] * 6, [0, 1, 1] * 6, [0, 1, 1])


@pytest.mark.parametrize(
    ("label", "verdict", "judged", "says"),
    [
        ([1] * 5, [1, 1, 0, 1, 1], [1, 0], r"no label is \[0\], so that nothing shows how the judge errs"),
        ([1, 0, 1], [1, 0, 2], [1, 0], r"no label is \[2\]"),
        ([1, 1], [1, 1], [1], "every label and verdict is 1"),
        ([1, 0], [1], [1], "2 labels and 1 verdict; label and verdict are of the same rows"),
        ([1, 0], [1, 0], [], "judged is empty"),
        ([1, None], [1, 0], [1], r"column 'label' has no label \(1 of 2 rows"),
        ([1, 0], [1, 0], [1, np.nan], "column 'judged' has no label"),
        ([1, 0], ["1", "0"], [1], "mixes number and text"),
    ],
)
def test_bad_input_is_named(label, verdict, judged, says):
    with pytest.raises(DataError, match=says):
        ps.rogan_gladen(label, verdict, judged)


def test_few_labels_and_no_coverage():
    found = ps.rogan_gladen([1] * 20 + [0] * 4, [1] * 19 + [0] * 5, [1, 0] * 50)
    assert "Fewer than 10 labels are [0]" in found.notes[-1]
    with pytest.raises(DataError, match=r"level=1\.5 is not a coverage"):
        ps.rogan_gladen(LABELS, VERDICTS, JUDGED, level=1.5)
