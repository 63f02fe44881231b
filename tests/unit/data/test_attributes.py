"""What is known of the items of a pair, and ties that count as half a win for each side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import psymetric as ps
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError

VOTES = pd.DataFrame(
    {
        "l": ["a", "b", "a", "c"],
        "r": ["b", "c", "c", "a"],
        "w": ["left", "tie", "right", None],
        "judge": ["j1", "j2", "j1", "j2"],
    }
)
KNOWN = pd.DataFrame({"size": [1.5, 2, 7], "maker": ["x", "y", "x"]}, index=["a", "b", "c"])


def table(known=KNOWN, **settings) -> PairTable:
    return PairTable.from_frame(VOTES, left="l", right="r", outcome="w", judge="judge", items=known, **settings)


def test_attributes_are_codes_of_both_sides():
    found = table()
    assert found.levels["size"] == (1.5, 2, 7)
    assert found.facets == ("item", "judge", "size", "maker")
    frame = found.to_frame(missing=True)
    assert list(frame["left.size"]) == [1.5, 2, 1.5, 7]
    assert list(frame["right.maker"]) == ["y", "x", "x", "x"]
    assert PairTable.level_of("left.size") == PairTable.level_of("right.size") == "size"


@pytest.mark.parametrize(
    "known", [KNOWN.reset_index(names="item"), pl.from_pandas(KNOWN.reset_index(names="item")), KNOWN[::-1]]
)
def test_the_form_and_order_of_the_frame_do_not_matter(known):
    assert table(known).hash == table().hash


def test_the_hash_holds_the_attributes():
    assert table().hash != table(KNOWN.assign(size=[1.5, 3, 7])).hash


def test_they_survive_files_json_and_selection(tmp_path):
    found = table()
    assert PairTable.from_dict(found.to_dict()).hash == found.hash
    assert PairTable.read(found.write(tmp_path / "pairs.parquet")).hash == found.hash
    # Selected by an attribute: comparisons whose two items both have it.
    part = found.select("maker", ["x"])
    assert part.levels["item"] == ("a", "c")
    assert part.levels["size"] == (1.5, 7)
    assert part.n_rows == 1
    VOTES.to_csv(tmp_path / "votes.csv", index=False)
    again = PairTable.read(tmp_path / "votes.csv", left="l", right="r", outcome="w", judge="judge", items=KNOWN)
    assert again.hash == found.hash


def test_counts_of_an_attribute():
    counts = table().counts("maker").set_index("level")
    assert counts.loc["x", ["wins", "losses", "ties"]].tolist() == [2, 1, 1]
    assert counts.loc["y", "n"] == 2


def test_rows_of_others_are_left_aside_and_said():
    more = pd.concat([KNOWN, pd.DataFrame({"size": [np.nan], "maker": [None]}, index=["z"])])
    found = table(more)
    assert found.levels["item"] == ("a", "b", "c")
    assert "1 row of items= tell of items that were never compared." in found.notes


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (KNOWN.drop("c"), r"1 item of 3 compared \('l'\) have no row in items=, first 'c'; got rows of \['a', 'b'\]"),
        (pd.concat([KNOWN, KNOWN[:1]]), r"several rows of one item \(1 of 4 rows, first at row 3"),
        (KNOWN.assign(size=[1, None, 2]), r"column 'size' has no label \(1 of 3 rows, first at row 1"),
        (KNOWN.rename(columns={"size": "judge"}), "'judge' is a facet of the comparisons and an attribute"),
        (KNOWN[[]], "no column beside the items"),
        (KNOWN.rename(columns={"size": "a:b"}), "holds ':'"),
        (pl.DataFrame({"size": [1, 2]}), "no column 'item'"),
        ({"a": 1}, "expected a pandas, Polars or Arrow table, got dict"),
    ],
)
def test_what_is_refused(known, message):
    with pytest.raises(DataError, match=message):
        table(known)


def test_a_facet_named_like_a_side():
    with pytest.raises(DataError, match=r"'left\.size' is named like an attribute of the left item"):
        PairTable.from_frame(VOTES.assign(**{"left.size": 1}), left="l", right="r", outcome="w", facets=("left.size",))


def test_both_bad_is_no_tie_unless_it_is_said_to_be():
    votes = VOTES.assign(w=["left", "both bad", "tie", "right"])
    with pytest.raises(DataError, match=r"unknown outcomes in column 'w' .*'both bad \(1×\)'"):
        PairTable.from_frame(votes, left="l", right="r", outcome="w")
    counted = [
        PairTable.from_frame(votes, left="l", right="r", outcome="w", outcomes={"both bad": meaning}).counts("item")
        for meaning in ("tie", None)
    ]
    assert [int(each["ties"].sum() / 2) for each in counted] == [2, 1]


def test_half_wins_split_the_weight():
    votes = VOTES.assign(n=[3, 5, 2, 1])
    plain = PairTable.from_frame(votes, left="l", right="r", outcome="w", weight="n")
    halves = plain.ties_as_half_wins()
    frame = halves.to_frame()
    assert list(frame["response"]) == ["left", "left", "right", "right"]
    assert list(frame["weight"]) == [3, 2.5, 2.5, 2]
    assert list(frame["comparison"]) == [1, 2, 2, 3]
    assert halves.weight.sum() == plain.weight.sum()
    assert halves.hash != plain.hash
    assert len(halves.missing) == len(plain.missing) == 1


def test_half_wins_are_said_wherever_the_rows_go(tmp_path):
    halves = table().ties_as_half_wins()
    said = "Quasi-likelihood: 1 tied row counted as half a win for each side."
    for found in (
        halves,
        halves.select("judge", ["j2"]),
        PairTable.from_dict(halves.to_dict()),
        PairTable.read(halves.write(tmp_path / "halves.parquet")),
    ):
        assert [note.startswith(said) for note in found.notes].count(True) == 1
    assert not any(note.startswith("Quasi") for note in halves.select("judge", ["j1"]).notes)


def test_half_wins_need_ties_and_come_once():
    halves = table().ties_as_half_wins()
    with pytest.raises(DataError, match="are half wins already"):
        halves.ties_as_half_wins()
    with pytest.raises(DataError, match="ties do not occur"):
        PairTable.from_frame(VOTES[:1], left="l", right="r", outcome="w").ties_as_half_wins()
    with pytest.raises(DataError, match="facet 'comparison' carries a name that tables and results use themselves"):
        PairTable.from_frame(VOTES.assign(comparison=1), left="l", right="r", outcome="w", facets="comparison")


def many(seed: int) -> PairTable:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 4, 400)
    frame = pd.DataFrame({"l": left, "r": (left + rng.integers(1, 4, 400)) % 4})
    return PairTable.from_frame(
        frame.assign(w=rng.choice(["left", "right", "tie"], 400)), left="l", right="r", outcome="w"
    )


def test_errors_of_half_wins_are_those_of_fractional_logistic_regression():
    """Papke & Wooldridge (1996): scores y = 0, 1/2, 1, the sandwich of which takes each comparison once."""
    plain = many(3)
    fit = ps.fit(ps.BradleyTerry(), plain.ties_as_half_wins())
    assert "note: Quasi-likelihood:" in fit.summary()
    robust = ps.robust_errors(fit, plain.ties_as_half_wins())
    worth = fit.parameters["worth"]
    design = np.eye(4)[plain.codes["left"]] - np.eye(4)[plain.codes["right"]]
    score, chance = np.array([1, 0, 0.5])[plain.response], 1 / (1 + np.exp(-design @ worth))
    basis = np.linalg.svd(np.eye(4) - 1 / 4)[0][:, :3]
    rows = design @ basis
    np.testing.assert_allclose(rows.T @ (score - chance), 0, atol=1e-6)
    bread = basis @ np.linalg.inv((rows.T * (chance * (1 - chance))) @ rows) @ basis.T
    each = design * (score - chance)[:, None]
    expected = np.sqrt(np.diag(bread @ (each.T @ each) @ bread) * 400 / 399)
    np.testing.assert_allclose(robust.standard_errors["worth"], expected, rtol=1e-6)
    # Ties hold less chance than the binomial that plain errors suppose.
    assert (robust.standard_errors["worth"] < fit.standard_errors["worth"]).all()
