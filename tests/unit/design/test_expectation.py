"""Cost and precision before anything is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from psymetric.design import Study, plan
from psymetric.design.expectation import rating_information
from psymetric.design.requests import prompt_size
from psymetric.providers.base import Prompt

STUDY = """
study: s
instrument: empathy-rubric
subjects: {from: support-conversations, text: conversation}
judges:
  - {name: a, base_url: "http://127.0.0.1:1/v1", model: m, price: {input: 2, output: 10}}
  - {name: b, base_url: "http://127.0.0.1:1/v1", model: m, max_tokens: 1000%s}
"""
PRICE = ", price: {input: 1, output: 1}"


def test_cost_adds_up_by_endpoint() -> None:
    laid_out = plan(Study.from_text(STUDY % PRICE))
    estimate = laid_out.cost()
    rows = estimate.frame.set_index("endpoint")
    size = int(laid_out.frame.loc[laid_out.frame["endpoint"] == "a", "tokens"].sum())
    assert rows.loc["a", "prompt_tokens"] == size
    assert rows.loc["a", "completion_tokens"] == 72 * 3
    assert rows.loc["a", "cost"] == pytest.approx((2 * size + 10 * 216) / 1e6)
    assert rows.loc["b", "completion_tokens_high"] == 72 * 1000
    assert estimate.calls == 144
    assert estimate.cost is not None
    low, middle, high = estimate.cost
    assert low < middle < high
    assert low == pytest.approx(rows["cost_low"].sum())
    assert str(estimate).startswith("144 requests, about ")
    assert not any("No price" in line for line in estimate.assumptions)


def test_an_endpoint_without_a_price_makes_the_cost_unknown() -> None:
    estimate = plan(Study.from_text(STUDY % "")).cost()
    assert estimate.cost is None
    assert estimate.tokens[0] < estimate.tokens[1] < estimate.tokens[2]
    assert estimate.assumptions[-1] == "No price is given for b: their cost is not known."
    assert str(estimate).endswith("cost not known: not every endpoint has a price")


def test_prompt_size_counts_ascii_by_four_and_others_by_one() -> None:
    assert prompt_size(Prompt((("user", "a" * 40),), ("A",), (0,))) == 3 + 4 + (4 + 40) // 4
    assert prompt_size(Prompt((("user", "語" * 40),), ("A",), (0,))) == 3 + 4 + 1 + 40


@pytest.mark.parametrize(("categories", "value"), [(2, 0.25), (3, 2 / 3), (5, 2.0)])
def test_information_with_equal_steps_is_that_of_a_uniform_category(categories: int, value: float) -> None:
    assert rating_information(categories, 0.0) == pytest.approx(value)


@pytest.mark.parametrize("gap", [0.5, 1.4])
def test_information_is_the_variance_found_by_the_model_itself(gap: float) -> None:
    # Naive second implementation: P(k)/P(k-1) = exp(-step) at the centre of three categories, steps ∓ gap / 2.
    weight = np.array([1.0, np.exp(gap / 2), 1.0])
    p = weight / weight.sum()
    assert rating_information(3, gap) == pytest.approx(p @ np.arange(3) ** 2 - (p @ np.arange(3)) ** 2)


def test_two_categories_have_no_gap() -> None:
    assert rating_information(2, 1.4) == pytest.approx(0.25)


def test_expected_error_of_a_rubric_is_the_root_of_answers_times_information() -> None:
    errors = plan(Study.from_text(STUDY % "")).expected_se()
    assert len(errors) == 24
    assert set(errors["answers"]) == {6}
    np.testing.assert_allclose(errors["se_low"], 1 / np.sqrt(6 * 2 / 3))
    assert (errors["se_high"] > errors["se_low"]).all()


def test_expected_error_of_a_comparison_matches_the_balanced_tournament() -> None:
    text = STUDY.replace("empathy-rubric", "pairwise-empathy") % ""
    errors = plan(Study.from_text(text)).expected_se()
    # Exact for equal worths in a full tournament: the diagonal of the pseudo-inverse of the information.
    n, met = 24, 4
    information = 0.25 * met * (n * np.eye(n) - np.ones((n, n)))
    exact = np.sqrt(np.linalg.pinv(information)[0, 0])
    assert set(errors["answers"]) == {met * (n - 1)}
    np.testing.assert_allclose(errors["se_low"], exact, rtol=0.05)


def test_inventories_are_expected_by_trait() -> None:
    text = 'study: s\ninstrument: big-five-20\nsubjects: [{name: a, base_url: "http://127.0.0.1:1/v1", model: m}]'
    errors = plan(Study.from_text(text)).expected_se()
    assert len(errors) == 5
    assert errors["answers"].eq(4).all()
    assert list(errors.columns) == ["trait", "subject", "answers", "se_low", "se_high"]


def test_summary_counts_every_facet_that_applies() -> None:
    summary = plan(Study.from_text(STUDY % "")).summary()
    assert summary.groupby("facet")["rows"].sum().eq(144).all()
    assert set(summary["facet"]) == {"subject", "item", "judge", "template", "order", "label", "occasion"}
    assert isinstance(summary, pd.DataFrame)
