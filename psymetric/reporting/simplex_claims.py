"""What the first screen says of candidates by a simplex judge: never surer than the judges' unknown errors allow."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd

from psymetric.reporting.claims import Claim
from psymetric.reporting.rounding import plain, probability, worded
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.reporting.truth_claims import lost_labels
from psymetric.reporting.wording import numbered, plural

__all__ = ["pair_range", "simplex_claims"]

_NAME: Final = 40
_SURE: Final = 0.95
_SHOWN: Final = 4
"""Pairs that are named one by one; of more their number is said."""


def simplex_claims(evidence: SimplexEvidence, rows: pd.DataFrame) -> list[Claim]:
    """The main claims: who is above whom, which pairs cannot be ranked, what that rests on.

    Args:
        evidence: The fit and what follows from it.
        rows: Every row asked for, with `reason`.
    """
    found: list[Claim] = []
    if not evidence.fit.status.converged:
        found.append(Claim("The sampler did not converge; no number below can be relied on.", "caution"))
    neighbours = [_neighbours(evidence, row) for row in _adjacent(evidence)]
    firm = [claim for claim in neighbours if claim.strength == "firm"]
    open_ = [claim for claim in neighbours if claim.strength != "firm"]
    found += [*firm[:_SHOWN], *open_[:_SHOWN]]
    if (more := len(firm[_SHOWN:]) + len(open_[_SHOWN:])) > 0:
        found.append(Claim(f"{numbered(more, 'further pair')} of neighbours in the table of pairs.", "open"))
    return [*found, *_all_pairs(evidence), *_basis(evidence), *lost_labels(rows)]


def _adjacent(evidence: SimplexEvidence) -> list[dict[str, Any]]:
    """Pairs of neighbours in the order of the estimates."""
    names = evidence.candidates["level"].tolist()
    known = {(row["first"], row["second"]): row for row in evidence.pairs.to_dict("records")}
    return [{str(k): v for k, v in known[key].items()} for key in pairwise(names)]


def _neighbours(evidence: SimplexEvidence, row: dict[str, Any]) -> Claim:
    first, second = (plain(row[name], _NAME) for name in ("first", "second"))
    p = float(row["p_above"])
    if row["identified"] == "no" and row["label"] != "robust":
        return Claim(f"{first} and {second} cannot be ranked: {_why(row)}.", "open", pair_range(row))
    if p < _SURE:
        text = (
            f"{first} and {second} cannot be ranked: {first} is above {second} with probability {probability(p)} only."
        )
        return Claim(text, "open")
    text = f"{first} is above {second} with probability {probability(p)}"
    if row["label"] == "robust":
        count = int(evidence.sensitivity.cells["usable"].sum()) if evidence.sensitivity is not None else 0
        detail = pair_range(row) if row["identified"] == "no" else ""
        return Claim(f"{text}; so it is under each of {numbered(count, 'prior')} tried.", "firm", detail)
    if row["label"] in ("sensitive", "unknown", "undecided"):
        over = f"over the priors tried it goes from {probability(row['lowest'])} to {probability(row['highest'])}"
        return Claim(f"{text} under this prior, but {over}.", "open")
    if row["identified"] in ("sign", "point"):
        return Claim(f"{text}; the labels identify that order.", "firm")
    return Claim(f"{text}, under the prior of this fit.", "open" if evidence.rests_on_margins else "firm")


def _why(row: dict[str, Any]) -> str:
    """Why a pair whose order is not identified cannot be ranked, as far as it was seen."""
    low, high = float(row["lowest"]), float(row["highest"])
    if np.isfinite(low) and low < 0.5 < high:
        span = f"{probability(low)} to {probability(high)}"
        return f"the order flips with the judge prior (probability that the first is above: {span})"
    return "judges and candidates with either order explain the labels alike"


def pair_range(row: dict[str, Any]) -> str:
    """The range of the difference that the labels leave open."""
    lower, upper = float(row["lower"]), float(row["upper"])
    if not (np.isfinite(lower) and np.isfinite(upper)):
        return ""
    return (
        f"By the labels alone the first may be from {worded(-lower, 0.04) if lower < 0 else 0} below to "
        f"{worded(upper, 0.04)} above the second, however many labels these judges give."
    )


def _all_pairs(evidence: SimplexEvidence) -> list[Claim]:
    pairs = evidence.pairs
    if len(pairs) < 2:
        return []
    if evidence.sensitivity is not None:
        robust = int((pairs["label"] == "robust").sum())
        text = f"{robust:,} of {numbered(len(pairs), 'pair')} keep one order with every prior tried."
        unknown = int((pairs["label"] == "unknown").sum())
        detail = f"Of {unknown:,} it is not known: the chains of some priors disagree." if unknown else ""
        return [Claim(text, "firm" if robust == len(pairs) else "open", detail)]
    if evidence.identified is not None:
        count = len(evidence.open_pairs)
        text = f"The labels leave the order of {count:,} of {numbered(len(pairs), 'pair')} open, whatever their number."
        return [
            Claim(
                text,
                "firm" if not count else "open",
                f"Assumed of judges: {evidence.identified.assumptions.describe()}.",
            )
        ]
    return []


def _basis(evidence: SimplexEvidence) -> list[Claim]:
    """What the order rests on."""
    if evidence.items is not None:
        words = evidence.items.describe()
        return [Claim(words, "firm" if evidence.items.identified != "no" else "open")]
    if evidence.sensitivity is not None or not evidence.rests_on_margins:
        return []
    nouns = plural(evidence.noun)
    text = f"How far the order of the {nouns} rests on the prior of the {plural(evidence.judge)} was not tried."
    return [Claim(text, "caution", "Pass sensitivity=prior_sensitivity(model, table) to see it.")]
