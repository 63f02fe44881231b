"""What to ask next: how standard errors shrink with more answers, projected and labelled as a projection."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.adaptive.next_pairs import next_pairs
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.models.base import DIMENSION
from psymetric.plots.projection import draw_projection
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.rounding import percent, plain, probability
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text, draw
from psymetric.reporting.wording import JUDGES, noun_of, plural

__all__ = ["next_section", "project"]

Array = NDArray[np.float64]

_FACTORS = (1, 2, 4, 8)
_NEXT = 8
_MOST_ITEMS = 120
"""Items whose pairs are weighed against each other in a second or two."""


def project(part: Part, factor: float) -> Array:
    """Standard errors with `factor` times the answers of the present kind, shape (measures,).

    The information of the answers grows in proportion; that of the population, in measures drawn towards it, stays:
    1/se² = factor (1/se₀² − 1/σ²) + 1/σ².
    """
    se = part.measures["se"].to_numpy(dtype=float)
    prior = 0.0
    if (
        part.scores is not None
        and part.scores.method in ("eap", "sum_eap", "map", "plausible")
        and "population_sd" in part.fit.parameters
    ):
        prior = 1 / float(np.mean(_population_sd(part) ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.maximum(1 / se**2 - prior, 0)
        return 1 / np.sqrt(factor * own + prior)


def _population_sd(part: Part) -> Array:
    sd = np.asarray(part.fit.parameters["population_sd"])
    return sd if part.dimension is None else sd[part.fit.levels[DIMENSION].index(part.dimension)]


def next_section(evidence: Evidence) -> Section | None:
    """A table and a figure of what more answers of the same kind would buy."""
    blocks: list[Block] = []
    for number, part in enumerate(evidence.parts):
        if len(part.comparisons.rankable) < 2 or not np.nanmedian(part.measures["se"]) > 0:
            continue
        if len(evidence.parts) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        blocks += _one(part, number)
    return Section("next", "What to ask next", tuple(blocks)) if blocks else None


def _one(part: Part, number: int) -> list[Block]:
    frame = _table(part)
    answers, errors = frame["answers"].tolist(), frame["se"].tolist()
    noun = noun_of(part.table, part.noun)
    last = len(frame) - 1
    text = (
        f"A projection, not a result: {_FACTORS[last]} times the answers of the same kind would bring the median "
        "standard error from "
        f"{errors[0]:.2f} to {errors[last]:.2f} logits."
    )
    figure = draw(
        lambda width: draw_projection(answers, errors, width=width, noun=noun),
        name=f"next-{number}",
        title=f"Projected standard error by answers per {noun}",
        reading=text,
        wide=560,
    )
    shows = [
        Show("answers", f"answers per {noun}", "count"),
        Show("se", "median SE", "number", "Logits"),
        Show(
            "told_apart",
            "pairs told apart",
            "share",
            "With probability .95 or more, were the measures to stay where they are",
        ),
    ]
    suffix = "" if part.label is None else f"-{number}"
    blocks: list[Block] = [figure, make_table(f"next{suffix}", frame, shows, caption="Projected precision")]
    gap = _gap(part)
    if gap:
        blocks.append(Text((gap,)))
    caution = (
        "Supposes that further answers come from judges, items and prompts like the ones used and that errors are "
        "independent. "
        f"More answers do not remove what all of these have in common, and {plural(noun)} whose true values are "
        "equal can never be told apart."
    )
    if part.hangs_together:
        within = plural(noun_of(part.table, part.hangs_together))
        caution += f" Answers hang together, so that it takes as many times the {within}."
    return [*blocks, Text((caution,), quiet=True), *_compare_next(part)]


def _compare_next(part: Part) -> list[Block]:
    """The comparisons that are expected to settle most of the order; none where the fit cannot say."""
    table, n_items = part.table, len(part.comparisons.known)
    if not isinstance(table, PairTable) or not part.fit.covariances or not 3 <= n_items <= _MOST_ITEMS:
        return []
    facet = next((name for name in table.codes if name in JUDGES), "judge")
    try:
        frame = next_pairs(part.fit, n=min(_NEXT, n_items * (n_items - 1) // 2), facet=facet, asked=table)
    except DataError:
        return []
    above = part.comparisons.matrix(part.comparisons.known)[np.triu_indices(n_items, 1)]
    is_open = float(np.sum(2 * above * (1 - above)))
    frame = frame.assign(share=frame["gain"] / is_open)
    frame["settles"] = [f"{percent(share)} of what is open" for share in frame["share"]]
    shows = [
        Show("left", "show first", "label"),
        Show("right", "show second", "label"),
        Show("judge", f"ask {noun_of(table, facet)}", "label"),
        Show("p_left", "first wins", "probability", "Probability by the model"),
        Show("p_tie", "tie", "probability", "Probability by the model"),
        Show("settles", "expected to settle", "text", "Open: pairs that two draws of the measures order differently"),
    ]
    reading = (
        f"Two equally plausible orders of all {n_items} differ in {is_open:.1f} pairs on average. One answer to each "
        f"of these {len(frame)}, in this order, is expected to lower that by {percent(float(frame['share'].sum()))}."
    )
    return [make_table("compare-next", frame, shows, caption="Compare these next", reading=reading)]


def _table(part: Part) -> pd.DataFrame:
    now = float(np.median(part.measures["n"]))
    rows: list[dict[str, float]] = []
    for factor in _FACTORS:
        se = project(part, factor)
        now_or_then = part.comparisons if factor == 1 else replace(part.comparisons, covariance=se**2, draws=None)
        rows.append(
            {"answers": round(now * factor), "se": float(np.nanmedian(se)), "told_apart": now_or_then.told_apart}
        )
    return pd.DataFrame(rows)


def _gap(part: Part) -> str:
    """How many answers it would take to settle the first place, were the gap what it seems."""
    known = part.comparisons.known
    p = float(part.comparisons.above(int(known[0]), known[1:2])[0])
    if p >= part.comparisons.threshold or p <= 0.5:
        return ""
    names = [plain(part.measures["level"].iloc[index], 40) for index in known[:2]]
    factor = (float(norm.ppf(part.comparisons.threshold)) / float(norm.ppf(p))) ** 2
    if factor > 100:
        return (
            f"{names[0]} and {names[1]} are so close that no reasonable number of answers would separate them at the "
            "gap seen."
        )
    needed = math.ceil(factor * float(np.median(part.measures["n"].iloc[known[:2]])))
    return (
        f"To separate {names[0]} from {names[1]} with probability {probability(part.comparisons.threshold)} it would "
        f"take about {needed:,} answers for each ({factor:.1f} times the present), were the gap seen the true one, "
        "which is uncertain itself."
    )
