"""The scores: table, ranks, profiles, and how two subjects compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from psymetric.plots.caterpillar import draw_caterpillar
from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.profile import Profile, draw_profiles
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.latent_variables import dimension_blocks, left_out
from psymetric.reporting.rounding import plain, probability, rounded, signed, typical_se
from psymetric.reporting.section_leaderboard import above_figure, leaderboard_tables, rank_interval, ranks_figure
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, Section, Table, Text, draw
from psymetric.reporting.wording import noun_of, plural, scale_words

__all__ = ["measures_figure", "measures_table", "profiles_figure", "scores_section"]

_ROWS = 24
_PROFILES = 12


def measures_figure(part: Part, *, name: str = "measures", most: int = _ROWS, wide: float = 560) -> Figure:
    """Measures as dots with intervals, by tiers; of many only the first and last."""
    frame = part.measures[np.isfinite(part.measures["estimate"])]
    kept = frame if len(frame) <= most else pd.concat([frame.head(most // 2), frame.tail(most // 2)])
    se = typical_se(frame["se"])
    rows = [
        IntervalRow(
            plain(row["level"], 60),
            row["estimate"],
            row["lower"],
            row["upper"],
            signed(row["estimate"], se),
            f"tier {row['tier']}",
            bool(row["extreme"]),
        )
        for row in kept.to_dict("records")
    ]
    noun = plural(noun_of(part.table, part.noun))
    tiers = int(frame["tier"].max()) if len(frame) else 0
    of = "" if part.label is None else f" in {plain(part.label, 40)}"
    title = f"Measures of {len(frame):,} {noun}{of} with {part.level:.0%} intervals"
    reading = (
        f"Dots are estimates, lines {part.level:.0%} intervals. A new tier begins at the first one that the "
        f"leader of the tier above exceeds with probability {probability(part.comparisons.threshold)}; there "
        f"{'are' if tiers != 1 else 'is'} {tiers}."
    )
    if any(row.marked for row in rows):
        reading += " Open dots had only lowest or only highest answers."
    described = f"{title}, from high to low. " + "; ".join(f"{row.label} {row.value}" for row in rows[:10])
    return draw(
        lambda width: draw_intervals(
            rows,
            width=width,
            axis="logits (higher is more)",
            skipped=len(frame) - len(kept),
        ),
        name=name,
        title=title,
        description=described,
        reading=reading,
        wide=wide,
    )


def measures_table(parts: Sequence[Part], by: str | None, *, key: str = "scores") -> Table:
    """The scores of all parts in one table."""
    part = parts[0]
    frames = [p.measures if p.label is None else p.measures.assign(**{str(by): p.label}) for p in parts]
    frame = pd.concat(frames, ignore_index=True).rename(columns={"level": part.noun})
    first = [part.noun, *([by] if by else [])]
    frame = frame[[*first, *(name for name in frame.columns if name not in first)]]
    frame["extremity"] = ["extreme score" if mark else "" for mark in frame["extreme"]]
    flags = frame["flag"].fillna("").astype(str) if "flag" in frame.columns else pd.Series("", index=frame.index)
    frame["remark"] = [", ".join(filter(None, pair)) for pair in zip(flags, frame.pop("extremity"), strict=True)]
    noun = noun_of(part.table, part.noun)
    shows = [
        Show(part.noun, noun, "label"),
        *([Show(by, by, "label")] if by else []),
        Show("estimate", "measure", "estimate", "Estimate in logits", se="se"),
        Show("se", "SE", "se", "Standard error in logits", se="se"),
        Show("lower", f"{part.level:.0%} interval", "range", upper="upper", se="se"),
        Show("rank", "rank", "count"),
        Show("rank_lower", "rank interval", "text"),
        Show(
            "fair_average",
            "fair average",
            "se",
            "Expected answer from an average judge on an average item",
            se="fair_se",
        ),
        Show("n", "answers", "count"),
        Show("infit", "infit", "number", "Mean square of residuals weighted by information; 1 is expected"),
        Show("outfit", "outfit", "number", "Mean square of standardised residuals; 1 is expected"),
        Show("tier", "tier", "count"),
        Show("remark", "remark", "flag"),
    ]
    if "rank_lower" in frame.columns:
        frame["rank_interval"] = rank_interval(frame)
        shows[[show.column for show in shows].index("rank_lower")] = Show("rank_interval", "rank interval", "text")
    if not frame["remark"].any():
        shows.pop()
    return make_table(key, frame, shows, caption=f"Measures of the {plural(noun)}, from high to low")


def scores_section(evidence: Evidence) -> Section:
    """Everything about the measures themselves."""
    parts = evidence.parts
    blocks: list[Block] = []
    if len(parts) > 1:
        blocks.append(profiles_figure(evidence))
    compared = evidence.first.is_of_items and len(parts) == 1
    blocks += leaderboard_tables(evidence.first) if compared else [measures_table(parts, evidence.by)]
    for number, part in enumerate(parts):
        if len(parts) > 1:
            blocks += [
                Heading(plain(part.label, 60)),
                measures_figure(part, name=f"measures-{number}", most=16, wide=720),
            ]
        if len(part.comparisons.known) > _ROWS:
            blocks.append(_caterpillar(part, f"all-{number}"))
        if 2 < len(part.comparisons.rankable) <= 400:
            blocks.append(ranks_figure(part, f"ranks-{number}"))
            if compared:
                blocks.append(above_figure(part, f"above-{number}"))
    blocks += dimension_blocks(evidence)
    first = evidence.first
    if first.scores is not None:
        held = first.scores.carries
        blocks.append(Text((f"The standard errors hold {held[0].lower()}{held[1:]}", *first.scores.notes), quiet=True))
    if "fair_average" in first.measures.columns:
        words = scale_words(first.table.categories)
        blocks.append(
            Text(
                (
                    f"Fair average: the answer expected on the {words} scale from an average level of every other "
                    "facet.",
                ),
                quiet=True,
            )
        )
    elif first.is_composite:
        blocks.append(left_out("Fair averages are", first))
    return Section("scores", "Leaderboard" if compared else "Scores", tuple(blocks))


def _caterpillar(part: Part, name: str) -> Figure:
    frame = part.measures[np.isfinite(part.measures["estimate"])]
    noun = plural(noun_of(part.table, part.noun))
    ends = frame[["estimate", "lower", "upper"]].to_numpy(dtype=float).T
    text = (
        f"All {len(frame):,} {noun} by rank: measures from {rounded(ends[0, 0], frame['se'].median())} down to "
        f"{rounded(ends[0, -1], frame['se'].median())} logits; the band is the {part.level:.0%} interval of each."
    )
    title = f"All measures of {noun} by rank"
    return draw(
        lambda width: draw_caterpillar(ends[0], ends[1], ends[2], width=width, axis="measure, logits"),
        name=name,
        title=title,
        reading=text,
    )


def profiles_figure(evidence: Evidence, *, name: str = "profiles", most: int = _PROFILES, wide: float = 720) -> Figure:
    """One panel per subject, of the first ones in the order of the table."""
    parts = evidence.parts
    labels = list(dict.fromkeys(label for part in parts for label in part.fit.levels["subject"]))
    indexed = [part.measures.set_index("level").reindex(labels) for part in parts]
    shown = labels[:most]
    profiles = [
        Profile(
            plain(label, 60),
            *(
                np.array([frame.at[label, column] for frame in indexed], float)
                for column in ("estimate", "lower", "upper")
            ),
        )
        for label in shown
    ]
    traits = [plain(part.label) for part in parts]
    cut = "" if len(labels) <= most else f" The first {most} of {len(labels):,} are shown; the table has all."
    text = (
        f"Each panel is one subject, each row one {evidence.by}, with {evidence.level:.0%} intervals. Logits of "
        f"different {plural(str(evidence.by))} are not one unit: compare subjects within a row.{cut}"
    )
    return draw(
        lambda width: draw_profiles(profiles, traits, width=width, axis="logits"),
        name=name,
        title="Profiles by trait",
        reading=text,
        wide=wide,
    )
