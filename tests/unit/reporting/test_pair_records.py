"""What the report says of the judges of comparisons: never more than the numbers hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

import psymetric as ps
from psymetric.reporting.evidence import read_part
from psymetric.reporting.pair_departures import departure_blocks
from psymetric.reporting.pair_records import judge_blocks
from psymetric.reporting.views import Block, Table, Text


def texts(blocks: Iterable[Block]) -> str:
    return " ".join(line for block in blocks if isinstance(block, Text) for line in block.paragraphs)


def tables(blocks: Iterable[Block]) -> dict[str, Table]:
    return {block.key: block for block in blocks if isinstance(block, Table)}


def test_judges_and_their_swaps(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    blocks = judge_blocks(read_part(*pairs))
    found = ps.pair_judges(*pairs)
    assert set(tables(blocks)["judges"].frame["level"]) == {"judge 0", "judge 1", "judge 2"}
    whole = ps.swap_consistency(pairs[1]).iloc[0]
    assert f"{whole['n']:,.0f} questions were put in both orders to the same judge" in texts(blocks)
    assert f"the answer was the same in {whole['strict']:.0%} (95% interval" in texts(blocks)
    # Judges who follow the model are not flagged, and the words say so.
    assert (found.frame["flag"] == "").all()
    assert "None of 3 judges is flagged." in tables(blocks)["judges"].reading
    agreeing = tables(blocks)["judge-agreement"].frame.set_index("level")
    expected = found.frame.set_index("judge")[["agreement", "swap_strict"]].loc[agreeing.index]
    pd.testing.assert_frame_equal(agreeing[["agreement", "swap_strict"]], expected, check_names=False)


def test_departures_of_a_sound_table_are_none(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    blocks = departure_blocks(read_part(*pairs))
    said = texts(blocks)
    assert "None of 10 pairs of items that met came out beyond chance" in said
    assert "No judge prefers or rejects an item beyond chance: none of 15 combinations" in said
    assert "triples of items with three majorities goes round in a circle (0 to " in said
    assert "circles" not in tables(blocks)


def test_a_circle_is_reported_with_its_votes() -> None:
    worse = [("rock", "scissors"), ("scissors", "paper"), ("paper", "rock")]
    rows = [(*pair, "left" if vote else "right") for pair in worse for vote in [1] * 28 + [0] * 2]
    rows += [(item, "stone", "left" if vote else "right") for item, _ in worse for vote in [1] * 9 + [0] * 3]
    frame = pd.DataFrame(rows, columns=["a", "b", "winner"])
    table = ps.PairTable.from_frame(frame, left="a", right="b", outcome="winner")
    blocks = departure_blocks(read_part(ps.fit(ps.BradleyTerry(), table), table))
    assert "3 of 6 pairs of items that met came out beyond chance" in texts(blocks)
    assert "1 of 4 triples of items with three majorities go round in a circle (25%)" in texts(blocks)


def test_half_wins_have_no_records(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    halves = pairs[1].ties_as_half_wins()
    part = read_part(ps.fit(ps.BradleyTerry(), halves), halves)
    assert "Ties count as half wins, which have no probability under a model: nothing is said of judges." in texts(
        judge_blocks(part)
    )
    assert departure_blocks(part) == []
    assert np.isfinite(part.measures["estimate"]).all()
