"""Transitivity: circular triads among majorities, beside their number under a fit and under coin tossing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, nearest
from psymetric.data.pairs import PairTable
from psymetric.diagnostics.majorities import Tournament, majorities
from psymetric.diagnostics.pair_chances import PairChances, pair_chances
from psymetric.diagnostics.pair_questions import check_pairs, contest_facets
from psymetric.diagnostics.tournaments import expected_cycles, simulated_cycles, strongest_cycles
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit

__all__ = ["CyclicTriples", "cyclic_triples"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_WHO = "cyclic_triples"


@final
@dataclass(frozen=True, repr=False)
class CyclicTriples:
    """Circular triads of a table of comparisons.

    Attributes:
        n_items: Items that were compared.
        n_pairs: Pairs of them that met.
        n_tied: Pairs that met without a majority.
        n_triples: Triples of which all three pairs have a majority.
        n_cyclic: Those that are circular.
        by_coin: Circular triads expected were each majority a coin's: a quarter of the triples.
        zeta: Kendall's coefficient of consistence, 1 for no circular triad and 0 for as many as there can be; NaN
            unless every pair has a majority.
        expected: Circular triads expected under the fit, given who met how often; NaN without a fit, as the next four.
        sd: Their standard deviation under the fit.
        lower: At most this many in 2.5 of 100 simulated tournaments.
        upper: At most this many in 97.5 of 100.
        p: Chance of so many as there are, or more.
        draws: Simulated tournaments behind `sd`, `lower`, `upper` and `p`; 0 without a fit.
        cycles: The circular triads whose weakest majority is the strongest: first, second, third (each beats the
            next, the third the first), wins_1 and losses_1 (of the first against the second), wins_2 and losses_2,
            wins_3 and losses_3 (sums of weights), weakest (the smallest of the three (wins − losses)/√(wins + losses)).
        judges: One row per judge: the facet's name, n_items, n_pairs, n_tied, n_triples, n_cyclic, by_coin, zeta,
            expected, note (why there is no zeta); None without such a facet.
        notes: What a reader should know, as sentences.
    """

    n_items: int
    n_pairs: int
    n_tied: int
    n_triples: int
    n_cyclic: int
    by_coin: float
    zeta: float
    expected: float
    sd: float
    lower: float
    upper: float
    p: float
    draws: int
    cycles: pd.DataFrame
    judges: pd.DataFrame | None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.n_cyclic:,} of {counted(self.n_triples, 'triple')} with three majorities are circular"]
        if self.draws:
            lines.append(
                f"  expected under the fit {self.expected:,.1f} (95 of 100 between {self.lower:,.0f} and "
                f"{self.upper:,.0f}), p of so many {self.p:.3f}"
            )
        lines.append(f"  expected by coin tossing {self.by_coin:,.1f}")
        if np.isfinite(self.zeta):
            lines.append(f"  coefficient of consistence {self.zeta:.3f}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def cyclic_triples(
    pairs: PairTable,
    *,
    fit: Fit | None = None,
    by: str | None = "judge",
    draws: int = 1000,
    seed: int = 0,
    limit: int = 20,
) -> CyclicTriples:
    r"""Count the triples of items in which a beats b, b beats c and c beats a, by majority.

    An item beats another when it won more of their comparisons; ties of comparisons count for neither, and a pair
    without a majority is in no triple. A few circular triads are to be expected of close items and few comparisons:
    under the fit each pair has a chance $p_{ij}$ that i has the majority of the comparisons that were made, which is
    exact (of the order, judges and covariates as they were), the expected number is
    $\sum p_{ij} p_{jk} p_{ki} + p_{ik} p_{kj} p_{ji}$ over triples, and its distribution is simulated from the same
    chances. More than that says that no single order serves all comparisons. The chances are those at the estimates,
    whose own uncertainty is not carried.

    Args:
        pairs: Comparisons. A row of weight w counts as w of them; one without an outcome as none.
        fit: A fit of BradleyTerry whose levels include the table's, for the expectation; None for counts alone.
        by: Facet of judges, each of whose own majorities are counted too; left out where the default is no facet of
            the table.
        draws: Simulated tournaments, 1 or more.
        seed: Seed of the simulation.
        limit: List at most so many circular triads, 0 or more.

    Raises:
        DataError: Fewer than three items, an unknown facet, ties that are half wins or that the fit has no rule for, a
            table that does not match the fit, draws or limit out of range.
        DesignError: A fit of another model.

    Source: Kendall & Babington Smith (1940), Biometrika 31, 324-345 (circular triads, coefficient of consistence, and
    their mean n(n − 1)(n − 2)/24 by coin tossing).
    """
    check_pairs(pairs, who=_WHO)
    by = _check(pairs, by, draws, limit)
    chances = None if fit is None else pair_chances(fit, pairs, who=_WHO)
    rows = np.flatnonzero(pairs.weight > 0)
    together = majorities(pairs, rows, chances, owner=np.zeros(len(rows), np.int64), n_owners=1)
    whole = together.tournament(0, len(together.owner))
    if len(whole.items) < 3:
        raise DataError(f"{_WHO}: {counted(len(whole.items), 'item')} compared; a triple takes three")
    found = _under_fit(whole, draws, seed)
    return CyclicTriples(
        n_items=len(whole.items),
        n_pairs=whole.n_pairs,
        n_tied=whole.n_tied,
        n_triples=whole.n_triples,
        n_cyclic=whole.n_cyclic,
        by_coin=whole.n_triples / 4,
        zeta=whole.zeta,
        **found,
        draws=0 if chances is None else draws,
        cycles=_cycles(whole, pairs.levels["item"], limit),
        judges=None if by is None else _judges(pairs, rows, chances, by),
        notes=tuple(_notes(whole)),
    )


def _under_fit(whole: Tournament, draws: int, seed: int) -> dict[str, float]:
    if whole.chance is None:
        return dict.fromkeys(("expected", "sd", "lower", "upper", "p"), float("nan"))
    drawn = simulated_cycles(whole.chance, draws=draws, seed=seed)
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return {
        "expected": expected_cycles(whole.chance),
        "sd": float(drawn.std()),
        "lower": float(lower),
        "upper": float(upper),
        "p": float((1 + np.sum(drawn >= whole.n_cyclic)) / (1 + draws)),
    }


def _check(pairs: PairTable, by: str | None, draws: int, limit: int) -> str | None:
    """The facet of the judges, None where the default is not in the table."""
    if draws < 1 or limit < 0:
        raise DataError(f"{_WHO}: draws={draws} must be 1 or more and limit={limit} 0 or more")
    known = contest_facets(pairs)
    if by is None or by in known:
        return by
    if by != "judge":
        hint = nearest(by, known) if known else "it has none"
        raise DataError(f"{_WHO}: by={by!r} is no facet of the comparisons; {hint}")
    return None


def _judges(pairs: PairTable, rows: Codes, chances: PairChances | None, by: str) -> pd.DataFrame:
    labels = pairs.levels[by]
    owner = pairs.codes[by][rows].astype(np.int64)
    found = majorities(pairs, rows, chances, owner=owner, n_owners=len(labels))
    ends = np.searchsorted(found.owner, np.arange(len(labels) + 1)).tolist()
    lines: list[dict[str, object]] = []
    for place, label in enumerate(labels):
        own = found.tournament(ends[place], ends[place + 1])
        lines.append(
            {
                by: label,
                "n_items": len(own.items),
                "n_pairs": own.n_pairs,
                "n_tied": own.n_tied,
                "n_triples": own.n_triples,
                "n_cyclic": own.n_cyclic,
                "by_coin": own.n_triples / 4,
                "zeta": own.zeta,
                "expected": float("nan") if own.chance is None else expected_cycles(own.chance),
                "note": "fewer than three items" if len(own.items) < 3 else "; ".join(_gaps(own)),
            }
        )
    return pd.DataFrame(lines).astype({by: object})


def _gaps(found: Tournament) -> Iterator[str]:
    """Why there is no coefficient of consistence."""
    if found.n_absent:
        yield f"{counted(found.n_absent, 'pair')} of items never met: no triple has them"
    if found.n_tied:
        yield f"{counted(found.n_tied, 'pair')} met without a majority: no triple has them"


def _notes(found: Tournament) -> Iterator[str]:
    yield from _gaps(found)
    if not found.n_triples:
        yield "no triple has three majorities: nothing can be said of transitivity"


def _cycles(whole: Tournament, levels: tuple[Label, ...], limit: int) -> pd.DataFrame:
    won, lead, votes = whole.won, whole.won - whole.won.T, whole.won + whole.won.T
    strength = np.divide(lead, np.sqrt(votes), out=np.zeros_like(lead), where=lead > 0)
    places, weakest = strongest_cycles(strength, limit)
    columns: dict[str, object] = {
        name: pd.Series([levels[code] for code in whole.items[places[:, side]]], dtype=object)
        for side, name in enumerate(("first", "second", "third"))
    }
    for side in range(3):
        one, other = places[:, side], places[:, (side + 1) % 3]
        columns |= {f"wins_{side + 1}": won[one, other], f"losses_{side + 1}": won[other, one]}
    return pd.DataFrame({**columns, "weakest": weakest})
