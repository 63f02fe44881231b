from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import psymetric as ps
from psymetric.errors import DataError
from psymetric.reporting.evidence import read_part
from psymetric.reporting.section_truth import Coverage, _true, coverage_sentence, recovered


def test_origin_of_the_truth_does_not_matter(simulated) -> None:
    part = read_part(simulated.fit, simulated.table)
    before = recovered(part, simulated.truth)
    moved = simulated.truth.copy()
    # Raising every judge by 2 and every subject with them changes no answer.
    moved.loc[moved["facet"].isin(["judge", "subject"]), "true"] += 2.0
    after = recovered(part, moved)
    assert after["true"].to_numpy() == pytest.approx(before["true"].to_numpy())
    assert before[before["facet"] == "judge"]["true"].mean() == pytest.approx(0.0)


def test_true_values_are_recovered(simulated) -> None:
    frame = recovered(read_part(simulated.fit, simulated.table), simulated.truth)
    assert frame.groupby("facet").size().to_dict() == {"item": 3, "judge": 4, "subject": 30}
    errors = (frame["estimate"] - frame["true"]) / frame["se"]
    assert float(np.sqrt(np.mean(errors**2))) < 1.5
    assert binom.sf(int((~frame["held"]).sum()) - 1, len(frame), 0.05) > 0.001


def test_levels_without_a_true_value_are_left_out(simulated) -> None:
    truth = pd.DataFrame({"facet": ["judge", "judge"], "level": ["ann", "bob"], "true": [-0.4, 0.4]})
    frame = recovered(read_part(simulated.fit, simulated.table), truth)
    assert frame["level"].tolist() == ["bob", "ann"]


def test_pairs_are_centred(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    truth = pd.DataFrame(
        {"facet": "item", "level": ["alpha", "beta", "gamma", "delta", "omega"], "true": [11.0, 10.4, 10.0, 9.5, 9.1]}
    )
    frame = recovered(read_part(*pairs), truth)
    assert frame["true"].sum() == pytest.approx(0.0)
    assert frame["held"].sum() >= 3


@pytest.mark.parametrize(("held", "verdict"), [(93, "as"), (80, "less often than"), (100, "more often than")])
def test_sentence_says_whether_the_count_is_in_its_band(held: int, verdict: str) -> None:
    low, high = (int(end) for end in binom.interval(0.95, 100, 0.95))
    sentence = coverage_sentence(Coverage("judge", held, 100, low, high), "judge", 0.95)
    assert sentence == (
        f"Judges: {held} of 100 intervals hold the true value, {verdict} their 95% says "
        f"({low} to {high} were to be expected)."
    )


def test_levels_that_are_numbers_may_be_named_by_their_text() -> None:
    found = _true(pd.Series([1, 2, "x"], dtype=object), {"1": 0.5, "x": -0.5})
    assert found.tolist()[::2] == [0.5, -0.5]
    assert np.isnan(found[1])


def test_several_true_values_for_one_estimate_are_refused(simulated) -> None:
    twice = pd.concat([simulated.truth.assign(trait=trait) for trait in ("kind", "open")])
    with pytest.raises(DataError, match="has several true values and one estimate; fit each trait by itself"):
        ps.report(simulated.fit, simulated.table, truth=twice)
