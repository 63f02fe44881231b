from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.reporting.claims import claims_of, directions
from psymetric.reporting.evidence import Evidence, Part, read_part
from psymetric.reporting.missing import response_rows
from psymetric.scoring.comparisons import Comparisons


@pytest.fixture(scope="module")
def part(simulated) -> Part:
    return read_part(simulated.fit, simulated.table)


def first_claim(part: Part, estimates: list[float], se: float = 0.5) -> tuple[str, str]:
    frame = part.measures.head(len(estimates)).copy()
    frame["level"] = [chr(ord("A") + index) for index in range(len(estimates))]
    frame["flag"] = ""
    comparisons = Comparisons(np.array(estimates), np.full(len(estimates), se**2))
    frame["tier"] = comparisons.tiers
    changed = dataclasses.replace(part, measures=frame, comparisons=comparisons)
    evidence = Evidence((changed,), None, 0.95, None, None)
    claim = claims_of(evidence, response_rows(part.table, None))[0]
    return claim.text, claim.strength


def test_lead_that_is_sure_is_claimed_with_its_probability(part: Part) -> None:
    text, strength = first_claim(part, [2.0, 0.5, 0.0])
    # Φ(1.5/√.5) = .983
    assert text.startswith("A comes first: it measures above B, the next, with probability .98.")
    assert strength == "firm"


def test_lead_that_is_not_sure_is_not_claimed(part: Part) -> None:
    # Φ(.5/√.5) = .760
    text, strength = first_claim(part, [0.5, 0.0, -2.0])
    assert text == "A and B cannot be ranked: A measures above B with probability .76 only."
    assert strength == "open"


def test_several_at_the_top_are_named_or_counted(part: Part) -> None:
    assert first_claim(part, [0.4, 0.2, 0.0, -3.0])[0] == (
        "The top cannot be settled: A comes first, but B and C cannot be separated from it."
    )
    text = first_claim(part, [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])[0]
    assert text == "The top cannot be settled: A comes first, but 6 other texts cannot be separated from it."


def test_one_subject_is_not_ranked(part: Part) -> None:
    assert first_claim(part, [0.5])[0].startswith("Only one text, A, was measured")


def test_directions_count_the_levels_with_the_higher_mean(part: Part, simulated) -> None:
    frame = simulated.table.to_frame()
    first, last = part.measures["level"].iloc[[0, -1]]
    means = frame.groupby(["subject", "judge"])["response"].mean().unstack()
    higher = int((means.loc[first] > means.loc[last]).sum())
    assert (
        directions(part, 0, len(part.measures) - 1) == f"Its mean rating is the higher one with {higher} of 4 judges."
    )


def test_judges_that_differ_are_named(part: Part) -> None:
    evidence = Evidence((part,), None, 0.95, None, None)
    text = next(c.text for c in claims_of(evidence, response_rows(part.table, None)) if "judge matters" in c.text)
    assert "cy is the most severe and ann the most lenient" in text


def test_failed_convergence_comes_first(part: Part) -> None:
    status = dataclasses.replace(part.fit.status, converged=False)
    broken = dataclasses.replace(part, fit=dataclasses.replace(part.fit, status=status))
    claim = claims_of(Evidence((broken,), None, 0.95, None, None), response_rows(part.table, None))[0]
    assert claim.strength == "caution"
    assert "did not converge" in claim.text


def test_many_missing_answers_are_a_caution(part: Part) -> None:
    rows = pd.DataFrame({"reason": ["refusal"] * 10 + [""] * 90})
    found = [c.text for c in claims_of(Evidence((part,), None, 0.95, None, None), rows) if c.strength == "caution"]
    assert any(text.startswith("10 of 100 (10%) answers are missing, most often: refused.") for text in found)


def test_position_without_effect_is_not_claimed(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    fit, table = pairs
    null = dataclasses.replace(fit, parameters={**fit.parameters, "position": np.array(0.01)})
    evidence = Evidence((read_part(null, table),), None, 0.95, None, None)
    texts = [claim.text for claim in claims_of(evidence, response_rows(table, None))]
    assert "Being shown first makes no difference that stands out from the noise." in texts
