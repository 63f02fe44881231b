"""Pairs of texts: each once, spread over groups, balanced from the beginning."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from psymetric.design import Study
from psymetric.design.subjects import Texts
from psymetric.design.units import Units, make_units
from psymetric.errors import DesignError
from psymetric.instruments import load_instrument

STUDY = Study.from_text(
    "study: s\ninstrument: pairwise-empathy\nsubjects: {from: x.csv}\n"
    "judges: [{name: j, base_url: 'http://127.0.0.1:1/v1', model: m}]"
)


def pairs_of(groups: list[int], calls: int | None = None, systems: list[int] | None = None) -> Units:
    ids = tuple(f"t{i}" for i in range(len(groups)))
    labels = ids if systems is None else tuple(f"s{i}" for i in systems)
    texts = Texts(ids, ids, labels, tuple(f"g{g}" for g in groups))
    return make_units(STUDY, load_instrument("pairwise-empathy"), texts, calls, np.random.default_rng(0))


@given(st.integers(2, 12))
def test_every_pair_comes_once(size: int) -> None:
    units = pairs_of([0] * size)
    met = [frozenset(pair) for pair in zip(units.columns["left"], units.columns["right"], strict=True)]
    assert len(met) == units.count
    assert set(met) == {frozenset(pair) for pair in combinations([f"t{i}" for i in range(size)], 2)}


@given(st.integers(3, 12), st.integers(1, 66))
def test_any_beginning_meets_texts_alike(size: int, stop: int) -> None:
    units = pairs_of([0] * size)
    left, right = units.columns["left"][:stop], units.columns["right"][:stop]
    counts = [int((left == f"t{i}").sum() + (right == f"t{i}").sum()) for i in range(size)]
    assert max(counts) - min(counts) <= 2


@given(st.lists(st.integers(0, 3), min_size=2, max_size=14).filter(lambda g: len(set(g)) < len(g)))
def test_pairs_stay_within_groups(groups: list[int]) -> None:
    units = pairs_of(groups)
    group = {f"t{i}": g for i, g in enumerate(groups)}
    met = {frozenset(pair) for pair in zip(units.columns["left"], units.columns["right"], strict=True)}
    names = list(group)
    assert met == {frozenset((a, b)) for a, b in combinations(names, 2) if group[a] == group[b]}


def test_one_system_is_not_compared_with_itself() -> None:
    units = pairs_of([0, 0, 0], systems=[1, 1, 2])
    assert units.count == 2
    assert units.notes == ("left out, as both texts are of one system: 1 pairs",)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(DesignError, match="a comparison needs at least two texts of different systems in one group"):
        pairs_of([0, 1])


def test_too_many_pairs_for_a_full_design_are_refused() -> None:
    message = re.escape("1,500 texts make 1,124,250 pairs, more than a full design may list (1,000,000); use design:")
    with pytest.raises(DesignError, match=message):
        pairs_of([0] * 1500)
