"""The judges of comparisons: every column against its definition, planted judges found, bad input named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

import psymetric as ps
from psymetric.diagnostics.pair_agreement import agreement_with_others
from psymetric.errors import DataError, DesignError

WORTH = {"a": 1.2, "b": 0.5, "c": 0.0, "d": -0.5, "e": -1.2}
PLANTED = {"plain": (1.0, 0.0), "other": (1.0, 0.0), "third": (1.0, 0.0), "first": (1.0, 1.5), "noise": (0.0, 0.0)}


def draw(rng: np.random.Generator, left: str, right: str, slope: float, position: float) -> str:
    gap = slope * (WORTH[left] - WORTH[right])
    odds = np.exp([gap / 2 + position, -gap / 2, -1.0])
    return str(rng.choice(["left", "right", "tie"], p=odds / odds.sum()))


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    """Each judge compares every two items under six prompts, in both orders."""
    rng = np.random.default_rng(12)
    rows = [
        (one, other, draw(rng, one, other, *PLANTED[judge]), judge, prompt)
        for judge in PLANTED
        for prompt in range(6)
        for one in WORTH
        for other in WORTH
        if one != other
    ]
    return pd.DataFrame(rows, columns=["left", "right", "winner", "judge", "prompt"])


def table(frame: pd.DataFrame, **more: str) -> ps.PairTable:
    return ps.PairTable.from_frame(
        frame, left="left", right="right", outcome="winner", judge="judge", facets="prompt", **more
    )


@pytest.fixture(scope="module")
def pairs(votes: pd.DataFrame) -> ps.PairTable:
    return table(votes)


@pytest.fixture(scope="module")
def fit(pairs: ps.PairTable) -> ps.Fit:
    return ps.fit(ps.BradleyTerry(ties="davidson"), pairs)


@pytest.fixture(scope="module")
def found(fit: ps.Fit, pairs: ps.PairTable) -> ps.PairJudges:
    return ps.pair_judges(fit, pairs)


def davidson(fit: ps.Fit, left: str, right: str) -> np.ndarray:
    worth = dict(zip(fit.levels["item"], fit.parameters["worth"], strict=True))
    gap = worth[left] - worth[right]
    odds = np.exp([gap / 2, -gap / 2, float(fit.parameters["tie"])])
    return odds / odds.sum()


def test_counts_and_shares_are_those_of_the_rows(found: ps.PairJudges, fit: ps.Fit, votes: pd.DataFrame) -> None:
    frame = found.frame.set_index("judge")
    worth = dict(zip(fit.levels["item"], fit.parameters["worth"], strict=True))
    for judge, own in votes.groupby("judge"):
        row = frame.loc[judge]
        decided = own[own["winner"] != "tie"]
        assert (row["n"], row["ties"]) == (len(own), pytest.approx(1 - len(decided) / len(own)))
        assert row["first"] == pytest.approx(np.mean(decided["winner"] == "left"))
        ahead = [worth[one] > worth[other] for one, other in decided[["left", "right"]].to_numpy()]
        assert row["consensus"] == pytest.approx(np.mean((decided["winner"] == "left") == ahead))
        chance = np.array([davidson(fit, *pair)[:2] for pair in decided[["left", "right"]].to_numpy()])
        chance = chance[:, 0] / chance.sum(axis=1)
        assert row["first_expected"] == pytest.approx(chance.mean())
        assert row["consensus_expected"] == pytest.approx(np.where(ahead, chance, 1 - chance).mean())
        assert row["first_lower"] < row["first"] < row["first_upper"]


def test_agreement_is_that_of_a_loop(found: ps.PairJudges, votes: pd.DataFrame) -> None:
    shares: dict[tuple[object, ...], dict[str, Counter[str]]] = {}
    for row in votes.itertuples():
        winner = {"left": row.left, "right": row.right}.get(row.winner, "tie")
        question = (*sorted([row.left, row.right]), row.prompt)
        shares.setdefault(question, {}).setdefault(row.judge, Counter())[winner] += 1
    frame = found.frame.set_index("judge")
    for judge in PLANTED:
        agree, own_ties, their_ties = [], [], []
        for counts in shares.values():
            share = {who: {k: n / counts[who].total() for k, n in counts[who].items()} for who in counts}
            for other in set(counts) - {judge}:
                agree.append(sum(p * share[other].get(k, 0.0) for k, p in share[judge].items()))
                own_ties.append(share[judge].get("tie", 0.0))
                their_ties.append(share[other].get("tie", 0.0))
        t, s = np.mean(own_ties), np.mean(their_ties)
        chance = (1 - t) * (1 - s) / 2 + t * s
        row = frame.loc[judge]
        assert row["n_shared"] == len(shares)
        assert row["agreement"] == pytest.approx(np.mean(agree))
        assert row["agreement_chance"] == pytest.approx(chance)
        assert row["kappa"] == pytest.approx((np.mean(agree) - chance) / (1 - chance))


def met(question, judge, response, *, n_judges, level=0.95):
    codes = [np.array(values) for values in (question, judge)]
    return agreement_with_others(
        *codes,
        np.zeros(len(question), bool),
        np.array(response, np.int32),
        np.ones(len(question)),
        n_judges=n_judges,
        level=level,
    )


def test_interval_is_the_delta_method() -> None:
    """The error of kappa from derivatives by each question's weight, taken numerically."""
    rng = np.random.default_rng(6)
    n = 60
    question, judge = np.repeat(np.arange(n), 3), np.tile(np.arange(3), n)
    response = rng.choice(3, 3 * n, p=[0.5, 0.3, 0.2])
    kept = rng.random(3 * n) < 0.8
    question, judge, response = question[kept], judge[kept], response[kept]
    found = met(question, judge, response, n_judges=3)

    def numbers(weight: np.ndarray, who: int) -> np.ndarray:
        parts = np.zeros(4)
        for u in range(n):
            here = question == u
            for mine in response[here & (judge == who)]:
                for theirs in response[here & (judge != who)]:
                    parts += weight[u] * np.array([1.0, mine == theirs, mine == 2, theirs == 2])
        a, t, s = parts[1:] / parts[0]
        chance = (1 - t) * (1 - s) / 2 + t * s
        return np.array([a, (a - chance) / (1 - chance)])

    def slopes(who: int, h: float = 1e-5) -> np.ndarray:
        steps = np.eye(n) * h
        return np.stack([(numbers(1 + step, who) - numbers(1 - step, who)) / (2 * h) for step in steps])

    for who in range(3):
        m = int(found["n_shared"][who])
        error = np.sqrt(m / (m - 1) * np.sum(slopes(who) ** 2, axis=0))
        value = numbers(np.ones(n), who)
        half = student.ppf(0.975, m - 1) * error
        for name, middle, reach in zip(("agreement", "kappa"), value, half, strict=True):
            assert found[name][who] == pytest.approx(middle)
            # Central differences of a ratio of sums: an error of h² beside rounding of 1e-16/h.
            assert found[f"{name}_upper"][who] - middle == pytest.approx(reach, rel=1e-6)
            assert middle - found[f"{name}_lower"][who] == pytest.approx(reach, rel=1e-6)


def test_without_ties_kappa_is_bennetts_s() -> None:
    found = met([0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4, [0, 0, 1, 1, 0, 1, 1, 1], n_judges=2)
    assert found["agreement"].tolist() == [0.75, 0.75]
    assert found["kappa"].tolist() == [0.5, 0.5]


def test_fit_and_swaps_are_those_of_their_functions(found: ps.PairJudges, fit: ps.Fit, pairs: ps.PairTable) -> None:
    frame = found.frame.set_index("judge")
    statistics = ps.fit_statistics(fit, pairs, facets=["judge"]).set_index("level")
    columns = ["infit", "infit_z", "outfit", "outfit_z"]
    pd.testing.assert_frame_equal(frame[columns], statistics[columns], check_names=False)
    swaps = ps.swap_consistency(pairs).set_index("group").loc[list(frame.index)]
    assert frame["n_swapped"].tolist() == [60] * 5 == swaps["n"].tolist()
    assert frame["swap_strict"].tolist() == swaps["strict"].tolist()
    assert frame["swap_direction_upper"].tolist() == swaps["direction_upper"].tolist()


def test_expected_consistency_is_that_of_two_independent_answers(found: ps.PairJudges, fit: ps.Fit) -> None:
    # Every judge met every pair of items in both orders, once a prompt; the model has no position.
    pairs = [(one, other) for one in WORTH for other in WORTH if one < other]
    strict = np.mean([davidson(fit, *pair) @ davidson(fit, *pair[::-1])[[1, 0, 2]] for pair in pairs])
    assert found.frame["swap_expected"].tolist() == pytest.approx([strict] * 5)


def test_planted_judges_are_flagged(found: ps.PairJudges) -> None:
    flags = found.frame.set_index("judge")["flag"]
    assert "favours the first: it wins" in flags["first"]
    assert "against the order" in flags["noise"]
    for judge in ("plain", "other", "third"):
        assert not any(word in flags[judge] for word in ("favours", "against", "noisy", "chance", "reverses"))
    assert found.unit == ("prompt",)


def test_a_reversing_judge_is_flagged(fit: ps.Fit, votes: pd.DataFrame) -> None:
    always = votes[votes["judge"] == "plain"].assign(judge="always", winner="left")
    flags = ps.pair_judges(fit, table(pd.concat([votes, always]))).frame.set_index("judge")["flag"]
    assert "reverses: the same answer in both orders 0%," in flags["always"]
    assert "favours the first: it wins 100% of the decided" in flags["always"]


def test_text_and_notes_name_the_question(found: ps.PairJudges) -> None:
    assert "a question is two items and prompt, in either order" in str(found)


def test_modelled_judges_have_their_parameters(pairs: ps.PairTable) -> None:
    own = ps.fit(ps.BradleyTerry(ties="davidson", position="judge", slopes=("judge",)), pairs, engine=ps.MAP())
    frame = ps.pair_judges(own, pairs).frame.set_index("judge")
    slope = own.estimates("judge_slope").set_index("level")
    position = own.estimates("position").set_index("level")
    assert frame["slope"].to_dict() == slope["estimate"].to_dict()
    assert frame["slope_upper"].to_dict() == slope["upper"].to_dict()
    assert frame["position_se"].to_dict() == position["se"].to_dict()
    assert "weak discrimination: slope" in frame.loc["noise", "flag"]
    # Davidson's decided comparisons of equals: the logistic of α.
    share = 1 / (1 + np.exp(-position.loc["first", "estimate"]))
    assert f"favours the first: it wins {share:.0%} against an equal, 50% expected" in frame.loc["first", "flag"]


def test_a_judge_of_one_vote_and_one_of_ties(fit: ps.Fit, votes: pd.DataFrame) -> None:
    few = pd.DataFrame(
        [("a", "b", "left", "single", 99), ("a", "b", "tie", "tied", 98), ("c", "b", "tie", "tied", 98)],
        columns=votes.columns,
    )
    found = ps.pair_judges(fit, table(pd.concat([votes[votes["judge"] == "plain"], few], ignore_index=True)))
    frame = found.frame.set_index("judge")
    assert frame.loc["single", "note"] == "nobody else answered the same questions; no question in both orders"
    assert frame.loc["single", "flag"] == ""
    assert np.isnan(frame.loc["single", "kappa"])
    assert frame.loc["tied", "note"].startswith("ties only: nothing decided; nobody else")
    assert np.isnan(frame.loc["tied", ["first", "first_lower", "consensus"]].to_numpy(float)).all()
    assert any("no two judges answered the same question" in note for note in found.notes)


def test_weights_count_as_rows(fit: ps.Fit, votes: pd.DataFrame) -> None:
    weight = 1 + np.arange(len(votes)) % 3
    whole = ps.pair_judges(fit, table(votes.loc[np.repeat(votes.index, weight)])).frame
    short = ps.pair_judges(fit, table(votes.assign(times=weight), weight="times")).frame
    pd.testing.assert_frame_equal(short, whole, rtol=1e-9, atol=1e-10)


def test_bad_input_is_named(fit: ps.Fit, pairs: ps.PairTable, votes: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="pair_judges: the table has no facet 'juge' of who compared; did you mean 'ju"):
        ps.pair_judges(fit, pairs, judge="juge")
    bare = ps.PairTable.from_frame(votes, left="left", right="right", outcome="winner")
    with pytest.raises(DataError, match="has no facet 'judge' of who compared; give judge= when the table is built"):
        ps.pair_judges(fit, bare)
    with pytest.raises(DataError, match="pair_judges: alpha=0 must lie between 0 and 1"):
        ps.pair_judges(fit, pairs, alpha=0)
    with pytest.raises(DataError, match="pair_judges: the ties of this table count as half wins"):
        ps.pair_judges(fit, pairs.ties_as_half_wins())
    with pytest.raises(DataError, match="pair_judges: left not in the fit"):
        ps.pair_judges(fit, table(votes.replace({"a": "z"})))
    untied = table(votes[votes["winner"] != "tie"])
    plain = ps.fit(ps.BradleyTerry(), untied)
    with pytest.raises(DataError, match=r"pair_judges: ties, to which a fit of BradleyTerry without a rule .* no prob"):
        ps.pair_judges(plain, pairs)
    with pytest.raises(DesignError, match="pair_judges is for responses and comparisons, and PlackettLuce"):
        ps.pair_judges(replace(fit, model=ps.PlackettLuce()), pairs)
