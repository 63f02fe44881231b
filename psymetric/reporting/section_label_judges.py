"""Which judges to trust: how often each is right, what its labels tell, how it errs, whose labels to buy or leave."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from psymetric.plots.confusion import ConfusionPanel, draw_confusions
from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.reporting.rounding import joined, percent, plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.truth_claims import between
from psymetric.reporting.truth_evidence import TruthEvidence
from psymetric.reporting.views import Block, Figure, Heading, KeyFigure, Section, Table, Text, draw
from psymetric.reporting.wording import numbered, plural

__all__ = ["accuracy_figure", "information_figure", "label_judges_section"]

_DOTS: Final = 24
_PANELS: Final = 12
_ROWS: Final = 60
_LARGEST: Final = 12
"""Categories beyond which a matrix of a judge cannot be read."""
_NAMED: Final = 5


def accuracy_figure(evidence: TruthEvidence) -> Figure:
    """How often each judge is right, of many only the best and the worst."""
    frame = evidence.judges
    kept = frame if len(frame) <= _DOTS else pd.concat([frame.head(_DOTS // 2), frame.tail(_DOTS // 2)])
    rows = [
        IntervalRow(
            plain(row["level"], 60),
            row["accuracy"],
            row["accuracy_lower"],
            row["accuracy_upper"],
            f"{row['accuracy']:.2f}".removeprefix("0"),
            alarming=bool(row["flag"]),
        )
        for row in kept.to_dict("records")
    ]
    flagged = sum(row.alarming for row in rows)
    text = f"Probability that a label of each {evidence.judge} is right, with {evidence.level:.0%} intervals."
    text += " In the warning colour: see their flags below." if flagged else ""
    return draw(
        lambda width: draw_intervals(
            rows, width=width, axis="probability of being right", skipped=len(frame) - len(kept)
        ),
        name="measures",
        title=f"Accuracy of {numbered(len(frame), evidence.judge)}",
        reading=text,
        description=f"{text} {'; '.join(f'{row.label} {row.value}' for row in rows[:10])}",
        wide=560,
    )


def information_figure(evidence: TruthEvidence) -> KeyFigure:
    """How often a label is right, and what it tells."""
    estimate, lower, upper = evidence.accuracy
    text = f"So often a label is right{between(lower, upper)}, averaged over all labels."
    frame = evidence.judges
    if "bits" in frame.columns:
        mean = float(np.average(frame["bits"], weights=frame["n"]))
        known = float(np.log2(len(evidence.fit.categories)))
        text += f" It tells {mean:.2f} bits of a truth that is at most {known:.2f} bits."
    return KeyFigure("A label is right", percent(estimate), text)


def label_judges_section(evidence: TruthEvidence) -> Section:
    """Accuracy, bits, flags and advice; confusion; agreement beyond the truth."""
    blocks: list[Block] = [_table(evidence), *_advice(evidence)]
    if len(evidence.fit.categories) <= _LARGEST:
        blocks += [Heading("What they say when the truth is what"), _confusions(evidence)]
    blocks += [_confusion_table(evidence), *_dependence(evidence)]
    return Section("judges", f"Which {plural(evidence.judge)} to trust", tuple(blocks))


def _table(evidence: TruthEvidence) -> Table:
    shows = [
        Show("level", evidence.judge, "label"),
        Show("n", "labels", "count"),
        Show("accuracy", "right", "share", "Probability that a label is the truth, at the estimated prevalence"),
        Show("accuracy_lower", f"{evidence.level:.0%} interval", "range", upper="accuracy_upper", se="accuracy_se"),
        Show("advice", "advice", "text"),
        Show("kappa", "kappa", "number", "The same less what chance gives (Cohen's kappa with the truth): 0 is chance"),
        Show("bits", "bits", "number", "What one label tells of a truth that nothing else is known of"),
        Show("lost", "lost", "number", "Bits known of the truth now, and not without these labels", digits=3),
        Show("gain", "gained", "number", "Bits by one more such label, given those there are", digits=3),
        Show("flag", "flag", "flag"),
    ]
    caption = f"{plural(evidence.judge).capitalize()}, the most accurate first"
    return make_table("judges", evidence.judges, shows, caption=caption, most=_ROWS)


def _advice(evidence: TruthEvidence) -> list[Block]:
    """Whose labels to buy, and whom to drop, by name."""
    frame = evidence.judges
    found: list[str] = []
    for advice, text in (("buy", "Buy further labels of"), ("drop", "Leave out")):
        mine = frame[frame["advice"] == advice]
        order = "per_cost" if advice == "buy" else "accuracy"
        if len(mine):
            mine = mine.sort_values(order, ascending=advice != "buy")
            named = [plain(name, 40) for name in mine["level"].head(_NAMED)]
            more = f" and {len(mine) - _NAMED:,} more" if len(mine) > _NAMED else ""
            found.append(f"{text} {joined(named) if not more else ', '.join(named)}{more}.")
    if not found:
        return []
    reading = (
        "A label is worth buying where it brings nine tenths of the best judge's bits or more, and to be left out "
        "below a tenth, where it is worse than chance or a copy. A further label of the same model tells less than "
        "these numbers say, since it repeats its errors."
    )
    return [Text((" ".join(found),)), Text((reading,), quiet=True)]


def _confusions(evidence: TruthEvidence) -> Figure:
    place = {name: code for code, name in enumerate(evidence.names)}
    frame = evidence.judges
    kept = frame if len(frame) <= _PANELS else pd.concat([frame.head(_PANELS // 2), frame.tail(_PANELS // 2)])
    panels = [
        ConfusionPanel(
            plain(row["level"], 60),
            evidence.confusion[place[row["level"]]],
            f"{row['accuracy']:.2f}".removeprefix("0") + " right",
            bool(row["flag"]),
        )
        for row in kept.to_dict("records")
    ]
    names = [plain(label, 30) for label in evidence.fit.categories]
    cut = f" The {_PANELS // 2} most and least accurate of {len(frame):,} are shown." if len(kept) < len(frame) else ""
    text = (
        "Rows are the truth, columns the label: on the diagonal a label is right, off it in the warning colour it is "
        f"wrong.{cut}"
    )
    return draw(
        lambda width: draw_confusions(panels, names, width=width),
        name="confusion",
        title=f"Confusion of {numbered(len(panels), evidence.judge)}",
        reading=text,
    )


def _confusion_table(evidence: TruthEvidence) -> Table:
    shows = [
        Show("level", evidence.judge, "label"),
        Show("truth", "truth", "label"),
        Show("label", "label", "label"),
        Show("estimate", "probability", "probability"),
        Show("lower", f"{evidence.level:.0%} interval", "range", upper="upper"),
    ]
    caption = "How often each says what when the truth is what"
    return make_table("confusion", evidence.confusion_frame, shows, caption=caption, most=24, both_ends=False)


def _dependence(evidence: TruthEvidence) -> list[Block]:
    found = evidence.dependence
    if found is None:
        return []
    pooled = found.pooled.iloc[0]
    verdict = {
        "dependent": "more often than the truth explains: they share errors, and categories are less sure than said",
        "opposed": "less often than the truth explains",
        "": "no more and no less often than the truth explains, as far as these labels show",
    }.get(str(pooled["flag"]), f"({pooled['flag']})")
    same, expected = (percent(float(pooled[name])) for name in ("agreement", "expected"))
    text = (
        f"On the same {evidence.noun}, {plural(evidence.judge)} give the same label in {same} of pairs, where "
        f"{expected} are expected: {verdict}."
    )
    shows = [
        Show("first", evidence.judge, "label"),
        Show("second", "and", "label"),
        Show("n", f"common {plural(evidence.noun)}", "count"),
        Show("agreement", "same label", "percent"),
        Show("expected", "expected", "percent", "Given the posterior of the truth"),
        Show("log_odds", "log odds", "estimate", "Agreement beyond the truth: 0 is independence", se="se"),
        Show("p_adjusted", "p, adjusted", "p", "Holm, over all pairs"),
        Show("flag", "flag", "flag"),
    ]
    table = make_table(
        "dependence", found.frame, shows, caption="Pairs, the most dependent first", most=12, both_ends=False
    )
    return [Heading("Do they share errors?"), Text((text, *found.notes)), table]
