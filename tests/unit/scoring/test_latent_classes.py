"""Membership of judges by Bayes' rule, and one class of a mixture as a fit."""

from __future__ import annotations

import mixed_judges
import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.scoring.latent_classes import relative_entropy


@pytest.fixture(scope="module")
def drawn() -> tuple[ps.PairTable, np.ndarray]:
    frame, kind = mixed_judges.draw(40, 50, seed=1)
    return mixed_judges.as_table(frame), kind


@pytest.fixture(scope="module")
def fit(drawn) -> ps.Fit:
    return ps.fit(mixed_judges.MODEL, drawn[0])


def by_hand(fit: ps.Fit, table: ps.PairTable) -> np.ndarray:
    names = ("worth", "position", "tie")
    given = mixed_judges.judge_log_likelihoods(table, *(fit.parameters[name] for name in names))
    weight = np.exp(given - given.max(axis=1, keepdims=True)) * fit.parameters["share"]
    return weight / weight.sum(axis=1, keepdims=True)


def test_membership_is_bayes_rule(fit, drawn) -> None:
    table, kind = drawn
    found = ps.class_membership(fit, table)
    assert list(found.frame.columns) == ["level", "class", "probability", "n"]
    expected = by_hand(fit, table)
    np.testing.assert_allclose(found.frame["probability"].to_numpy().reshape(-1, 2), expected, atol=1e-9)
    assert found.frame["level"].tolist() == [label for label in table.levels["judge"] for _ in range(2)]
    assert (found.frame["n"] == 50).all()
    assert list(found.assigned.columns) == ["level", "class", "probability", "n"]
    # Fifty comparisons tell such classes apart.
    assert (found.assigned["class"].to_numpy() - 1 == kind).mean() > 0.95
    logs = np.log(expected, where=expected > 0, out=np.zeros_like(expected))
    assert found.entropy == pytest.approx(1 + (expected * logs).sum() / (40 * np.log(2)), abs=1e-9)
    assert found.accuracy == pytest.approx(expected.max(axis=1).mean(), abs=1e-9)


def test_other_judges_are_placed_by_the_items_they_share(fit) -> None:
    frame = mixed_judges.draw(6, 4, seed=9)[0]
    other = mixed_judges.plain_table(frame.assign(judge="x" + frame["judge"]))
    found = ps.class_membership(fit, other)
    assert found.assigned["level"].tolist() == [f"xj{k:02}" for k in range(6)]
    places = [fit.levels["item"].index(label) for label in other.levels["item"]]
    moved = {name: other.codes[name] for name in ("judge",)}
    moved |= {side: np.array(places)[other.codes[side]] for side in ("left", "right")}
    coded = _coded(other, moved)
    np.testing.assert_allclose(found.frame["probability"].to_numpy().reshape(-1, 2), by_hand(fit, coded), atol=1e-9)
    assert any("are not clearly of one class (probability under 0.9)" in note for note in found.notes)


def _coded(table: ps.PairTable, codes: dict):
    class Coded:
        levels, response, weight = table.levels, table.response, table.weight

    Coded.codes = codes
    return Coded


def test_entropy_between_certainty_and_ignorance() -> None:
    assert relative_entropy(np.eye(3)) == pytest.approx(1)
    assert relative_entropy(np.full((5, 4), 0.25)) == pytest.approx(0)
    assert np.isnan(relative_entropy(np.ones((5, 1))))


def test_one_class_is_a_fit_of_its_own(fit) -> None:
    for k in range(2):
        one = ps.fit_of_class(fit, k + 1)
        assert one.model == mixed_judges.WITHIN
        frame, whole = one.estimates("item"), fit.estimates("item")
        own = whole[whole["class"] == k + 1].reset_index(drop=True)
        for column in ("estimate", "se", "lower", "upper", "n"):
            np.testing.assert_array_equal(frame[column], own[column])
        covariance = fit.covariances["worth"].reshape(6, 2, 6, 2)[:, k, :, k]
        np.testing.assert_array_equal(one.covariances["worth"], covariance)
        np.testing.assert_allclose(one.factors["worth"] @ one.factors["worth"].T, covariance, atol=1e-12)
        order = [mixed_judges.ITEMS[place] for place in np.argsort(-fit.parameters["worth"][:, k])]
        assert ps.rank_intervals(one)["level"].tolist() == order
        assert one.n_parameters == 7
        assert one.log_likelihood is None
        assert f"class {k + 1} of 2 in a mixture of judges" in one.summary()


@pytest.mark.parametrize("asked", [ps.rank_intervals, ps.tiers, ps.quasi_variances, ps.win_rates])
def test_all_classes_together_have_no_order(fit, asked) -> None:
    name = asked.__name__
    match = rf"{name}: a mixture of judges.* for each of its 2 classes.*{name}\(fit_of_class\(fit, 1\)\)"
    with pytest.raises(DataError, match=match):
        asked(fit)


def test_what_has_no_classes(fit, drawn) -> None:
    table = drawn[0]
    plain = ps.fit(mixed_judges.WITHIN, table)
    with pytest.raises(DataError, match="class_membership: the fit is of BradleyTerry, which has no classes"):
        ps.class_membership(plain, table)
    with pytest.raises(DataError, match=r"fit_of_class: no class 3; the fit has \[1, 2\]"):
        ps.fit_of_class(fit, 3)
    without = ps.PairTable.from_frame(table.to_frame(), left="left", right="right", outcome="response")
    with pytest.raises(DataError, match=r"class_membership: the fit reads facet 'judge', which the table"):
        ps.class_membership(fit, without)
    with pytest.raises(DataError, match="class_membership: the fit is of comparisons, which a PairTable holds"):
        ps.class_membership(fit, "table")
    renamed = ps.PairTable.from_frame(
        table.to_frame().replace({"left": {"a": "z"}, "right": {"a": "z"}}),
        left="left", right="right", outcome="response", judge="judge",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"left not in the fit, which knows \['a', 'b'"):
        ps.class_membership(fit, renamed)
