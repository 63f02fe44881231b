"""A fit with given parameters and a table drawn from it, with labels that would break a careless figure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from given_fits import drawn_table, given_fit

import psymetric as ps

ITEMS = ("a $\\frac{1}{2}$ & <b>", "漢字", "x" * 200, "evil\u202egnp.exe", "plain")
JUDGES = ("mild", "{{ 7*7 }}", "stern")


@dataclass(frozen=True)
class Rated:
    """A fit and the table it is about."""

    fit: ps.Fit
    table: ps.ResponseTable


@pytest.fixture(scope="session")
def rated() -> Rated:
    fit = given_fit(
        ps.ManyFacetRasch(facets=("item", "judge")),
        {"item": ITEMS, "judge": JUDGES},
        (1, 2, 3, 4),
        item=np.linspace(-1, 1, 5),
        judge=[-0.7, 0.1, 0.6],
        step=[[-1.2, 0.1, 1.1]],
    )
    table = drawn_table(fit, np.random.default_rng(3).normal(size=40), seed=6)
    return Rated(dataclasses.replace(fit, provenance=dataclasses.replace(fit.provenance, source=table.hash)), table)
