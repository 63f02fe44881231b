"""What the labels identify of candidates, and what the conclusions are under other priors of the judges."""

from __future__ import annotations

from typing import Final

import numpy as np

from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.ternary import plot_ternary
from psymetric.reporting.rounding import plain
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Section, Table, Text, draw
from psymetric.reporting.wording import numbered, plural
from psymetric.sensitivity.identified import IdentifiedSet
from psymetric.sensitivity.prior_grid import PriorSensitivity

__all__ = ["identified_section", "sensitivity_section"]

_TRIANGLE: Final = 3
_DRAWN: Final = 7
_DOTS: Final = 30
_VERDICTS: Final = {
    "point": "identified",
    "sign": "order identified",
    "weak": "one is not below",
    "no": "not identified",
    "undecided": "left open by the search",
}


def identified_section(evidence: SimplexEvidence) -> Section:
    """What the labels alone say of every pair, before any prior."""
    found = evidence.identified
    lead = (
        "Judges' errors are not known. Which orders hold whatever they are, and which only under a prior? This is "
        "computed from the labels alone; no number of labels by the same judges changes it."
    )
    if found is None:
        return Section("identified", "What the labels identify", (Text((_instead(evidence),)),), lead)
    how = {
        "exact": "Ranges are exact.",
        "certified": "Ranges come from a global search: no judges and candidates lie beyond the outer ends.",
        "inner": "Ranges come from a local search: they may be wider, never narrower.",
    }[found.method]
    shares = "exact" if found.level is None else f"known within bands that hold at once with {found.level:.0%}"
    assumed = f"Assumed of {plural(evidence.judge)}: {found.assumptions.describe()}."
    text = f"{assumed} Shares of labels are taken as {shares}. {how} {found.dimension.describe()}"
    blocks: list[Block] = [Text((text,)), _pairs(evidence, found)]
    if len(evidence.table.categories) == _TRIANGLE and len(found.values) == _TRIANGLE:
        blocks.append(_ternary(evidence, found))
    return Section("identified", "What the labels identify", tuple(blocks), lead)


def _instead(evidence: SimplexEvidence) -> str:
    """Why there is no identified set."""
    if evidence.items is not None:
        return evidence.items.describe()
    if not evidence.rests_on_margins:
        return "Gold gives the truth of some answers, which tells judges' errors; no identified set was computed."
    return (
        "It was not computed here: with strata or many candidates, or where no judges and candidates reproduce the "
        "labels under what is assumed. Call identified_set for it."
    )


def _pairs(evidence: SimplexEvidence, found: IdentifiedSet) -> Table:
    frame = evidence.pairs[["first", "second", "identified", "lower", "upper"]]
    outer = {(row["first"], row["second"]): (row["lower_outer"], row["upper_outer"]) for row in
             found.differences.to_dict("records")}  # fmt: skip
    turned = {(second, first): (-high, -low) for (first, second), (low, high) in outer.items()}
    ends = [(outer | turned)[key] for key in zip(frame["first"], frame["second"], strict=True)]
    frame = frame.assign(
        lower_outer=[low for low, _ in ends],
        upper_outer=[high for _, high in ends],
        verdict=[_VERDICTS[str(kind)] for kind in frame["identified"]],
    )
    shows = [
        Show("first", evidence.noun, "label"),
        Show("second", "and", "label"),
        Show("verdict", "verdict", "text"),
        Show("lower", "difference may be", "range", "Ends for which judges and candidates were found", upper="upper"),
        Show("lower_outer", "and not beyond", "range", "Ends that none exceed", upper="upper_outer"),
    ]
    count = int((frame["identified"] == "no").sum())
    reading = (
        f"{numbered(count, 'pair')} of {len(frame):,} {'is' if count == 1 else 'are'} not identified: judges and "
        "candidates of either order give these labels."
    )
    return make_table("identified", frame, shows, caption="Mean difference, the first less the second", reading=reading)


def _ternary(evidence: SimplexEvidence, found: IdentifiedSet) -> Figure:
    names = evidence.candidates["level"].tolist()[:_DRAWN]
    order = [evidence.fit.levels[evidence.model.candidate_axis].index(name) for name in found.observed.candidates]
    draws = evidence.truth_draws[:, order]
    text = (
        f"Left: labels of {plain(found.observed.judges[0], 40)}, with its triangle in two worlds that explain them "
        f"alike. Right: outlines are true levels that the labels leave possible, ellipses hold {evidence.level:.0%} of "
        "the posterior. Where an ellipse is much smaller than its outline, the prior made it so."
    )
    return draw(
        lambda width: plot_ternary(found, candidates=names, draws=draws, level=evidence.level, width=width),
        name="ternary",
        title="Judge and candidates in the triangle of three levels",
        reading=text,
    )


def sensitivity_section(evidence: SimplexEvidence) -> Section | None:
    """The conclusions under every prior tried; None where none was."""
    found = evidence.sensitivity
    if found is None:
        return None
    usable = int(found.cells["usable"].sum())
    lead = f"The model was fitted again under {numbered(len(found.cells), 'prior')} of the judges"
    lead += "." if usable == len(found.cells) else f", of which {usable:,} gave chains that agree."
    blocks: list[Block] = [
        _ranges(evidence, found),
        _labels(evidence),
        _tipping(evidence, found),
        _ranks(evidence, found),
    ]
    if found.notes:
        blocks.append(Text(tuple(plain(note, 400) for note in found.notes), quiet=True))
    return Section("sensitivity", "What rests on the prior", tuple(blocks), lead)


def _ranges(evidence: SimplexEvidence, found: PriorSensitivity) -> Figure:
    frame = evidence.pairs
    shown = frame.iloc[np.argsort((frame["highest"] - frame["lowest"]).to_numpy() * -1, kind="stable")].head(_DOTS)
    rows = [
        IntervalRow(
            f"{plain(row['first'], 24)} over {plain(row['second'], 24)}",
            row["p_above"],
            row["lowest"],
            row["highest"],
            str(row["label"]),
            alarming=row["label"] in ("not identified", "unknown"),
        )
        for row in shown.to_dict("records")
    ]
    cut = f" The {_DOTS} widest of {len(frame):,} are shown." if len(frame) > _DOTS else ""
    text = (
        f"Probability that the first is above the second: dots under the prior of this fit, lines from the lowest to "
        f"the highest under all priors tried. From {found.threshold:g} on it counts as stated.{cut}"
    )
    return draw(
        lambda width: draw_intervals(rows, width=width, axis="probability", reference=0.5),
        name="sensitivity",
        title="Range of the probability of each order over the priors",
        reading=text,
    )


def _labels(evidence: SimplexEvidence) -> Table:
    shows = [
        Show("first", evidence.noun, "label"),
        Show("second", "and", "label"),
        Show("label", "verdict", "text"),
        Show("p_above", "P(first above)", "probability", "Under the prior of this fit"),
        Show("lowest", "lowest", "probability", "Over all priors tried"),
        Show("highest", "highest", "probability", "Over all priors tried"),
    ]
    reading = (
        "Robust: one order under every prior. Sensitive: under some. Undecided: under none. Not identified: not under "
        "every prior, and the labels leave either order open. Unknown: the chains of some prior disagree."
    )
    return make_table("pairs", evidence.pairs, shows, caption="Every pair over all priors", reading=reading)


def _tipping(evidence: SimplexEvidence, found: PriorSensitivity) -> Table:
    frame = found.tipping_points()
    frame = frame.assign(
        setting=[str(name).replace("_", " ") for name in frame["setting"]],
        reference=[_setting(value) for value in frame["reference"]],
        tipping=[_setting(value) for value in frame["tipping"]],
    )
    shows = [
        Show("first", evidence.noun, "label"),
        Show("second", "over", "label"),
        Show("setting", "setting of the prior", "text"),
        Show("reference", "in this fit", "text"),
        Show("tipping", "order falls at", "text", "Nearest value at which the order is no longer stated"),
    ]
    reading = (
        "A dash: no value tried tips the order." if len(frame) else "No order is stated under the prior of this fit."
    )
    return make_table("tipping", frame, shows, caption="Tipping points of the orders that are stated", reading=reading)


def _setting(value: object) -> str:
    """A value of a setting in words."""
    if isinstance(value, (int, float)):
        return f"{value:.2g}" if np.isfinite(value) else "–"
    return "–" if value is None else str(value)


def _ranks(evidence: SimplexEvidence, found: PriorSensitivity) -> Table:
    frame = found.ranks()
    for name, ends in (("own", ("rank_lower", "rank_upper")), ("any", ("lowest", "highest"))):
        pairs = zip(frame[ends[0]], frame[ends[1]], strict=True)
        frame[name] = [f"{low:.0f} to {high:.0f}" if low == low else "–" for low, high in pairs]
    shows = [
        Show("candidate", evidence.noun, "label"),
        Show("rank", "rank", "count"),
        Show("own", "rank interval", "text", "Under the prior of this fit"),
        Show("any", "over all priors", "text", "Lowest and highest end of any interval"),
        Show("widest", "widest", "count", "Ranks in the widest interval"),
    ]
    return make_table("rank-ranges", frame, shows, caption="Ranks over all priors")
