"""The built-in demonstration as data: three small studies whose truth is known.

1. Twenty-four support conversations, rated on the three empathy criteria by four judges: one harsh, one lenient, one
   erratic (it hardly tells replies apart), one that refuses now and then; under three wordings, two option orders and
   two label sets.
2. Six models that describe themselves on twenty Big Five phrases.
3. The same conversations compared in pairs by two judges who favour the one shown first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from psymetric.design.levels import facet_levels
from psymetric.design.study import Study
from psymetric.instruments.library import load_instrument, read_builtin_texts
from psymetric.simulation.drawing import Spread, draw_world, world_for
from psymetric.simulation.truth import SimulatedItem, SimulatedJudge, SimulatedSubject, World

__all__ = ["DemoPart", "demo_parts"]

_TEXTS: Final = "support-conversations"
_EMPATHY: Final = """
study: empathy of supporting replies (simulated judges)
instrument: empathy-rubric
subjects: {from: support-conversations, id: id, text: conversation}
judges:
  - {name: harsh, price: {input: 2.5, output: 10}}
  - {name: lenient, price: {input: 0.5, output: 2}}
  - {name: erratic, price: {input: 0.1, output: 0.4}}
  - {name: refusing, price: {input: 2.5, output: 10}}
facets: {template: all, order: reversed, label: [letters, numbers]}
design: {kind: fractional, calls: 2304}
temperature: 1.0
model: {kind: many_facet_rasch, facets: [item, judge, template, order, label], steps: item}
notes: Every judge is simulated; nothing here says anything about a real model.
"""
_BIG_FIVE: Final = """
study: Big Five of six simulated models
instrument: big-five-20
subjects: [{name: alder}, {name: beech}, {name: cedar}, {name: elm}, {name: fir}, {name: hazel}]
facets: {template: all, label: [letters, numbers]}
temperature: 1.0
model: {kind: many_facet_rasch, facets: [item, template, label], steps: common}
notes: Every model is simulated; nothing here says anything about a real model.
"""
_PAIRS: Final = """
study: empathy in pairs (simulated judges)
instrument: pairwise-empathy
subjects: {from: support-conversations, id: id, text: conversation}
judges: [{name: quick}, {name: careful}]
design: {kind: fractional, calls: 480}
temperature: 1.0
model: {kind: bradley_terry, ties: davidson, position: true}
notes: Every judge is simulated; nothing here says anything about a real model.
"""
# The geometric mean of the discriminations is 1, which sets the unit of the logits (see truth.py).
_JUDGES: Final = (
    SimulatedJudge(name="harsh", severity=0.6, discrimination=1.15, option_position=0.3),
    SimulatedJudge(name="lenient", severity=-0.6, discrimination=1.15, option_position=0.3),
    SimulatedJudge(name="erratic", severity=0.1, discrimination=0.66, option_position=0.3),
    SimulatedJudge(name="refusing", severity=-0.1, discrimination=1.15, option_position=0.3, refusal=0.04),
)
_ITEMS: Final = (
    SimulatedItem(name="emotional_reaction", difficulty=-0.6, steps=(-0.8, 0.8)),
    SimulatedItem(name="interpretation", difficulty=0.1, steps=(-0.6, 0.6)),
    SimulatedItem(name="exploration", difficulty=0.5, steps=(-0.9, 0.9)),
)
_SHIFTS: Final = {
    "template": {"direct": -0.15, "assessor": 0.25, "evidence": -0.1},
    "label": {"letters": -0.1, "numbers": 0.1},
}
_GRADE_GAP: Final = 0.9
_WITHIN_GRADE_SD: Final = 0.4


@final
@dataclass(frozen=True)
class DemoPart:
    """One study of the demonstration.

    Attributes:
        name: Short name, fit for a file.
        title: What it shows, in a phrase.
        study: What is asked.
        world: Who answers.
    """

    name: str
    title: str
    study: Study
    world: World


def demo_parts(*, seed: int = 0) -> tuple[DemoPart, ...]:
    """The studies of the demonstration, the main one first.

    Args:
        seed: Of the subjects' measures and of all answers; the judges are always the same.
    """
    empathy, big_five, pairs = (Study.from_text(text) for text in (_EMPATHY, _BIG_FIVE, _PAIRS))
    calm = Spread(refusal=0.0, step=0.0)
    return (
        DemoPart("empathy", "Empathy of 24 replies under a rubric", empathy, _empathy_world(seed)),
        DemoPart("big-five", "Big Five of six models", big_five, world_for(big_five, spread=calm, seed=seed)),
        DemoPart("pairs", "The same replies, compared in pairs", pairs, _pairs_world(pairs, seed)),
    )


def _empathy_world(seed: int) -> World:
    return World(
        instrument=load_instrument("empathy-rubric"),
        subjects=_conversations(seed),
        judges=_JUDGES,
        items=_ITEMS,
        shifts=_SHIFTS,
        seed=seed,
    )


def _pairs_world(study: Study, seed: int) -> World:
    instrument = load_instrument("pairwise-empathy")
    levels = facet_levels(study, instrument)
    judges = [SimulatedJudge(name=name, first_position=0.5) for name in levels["judge"]]
    return draw_world(instrument, subjects=_conversations(seed), judges=judges, seed=seed)


def _conversations(seed: int) -> tuple[SimulatedSubject, ...]:
    """The built-in conversations; replies of a higher grade are more empathic, with some spread within a grade."""
    rows = [json.loads(line) for line in read_builtin_texts(_TEXTS).splitlines()]
    rng = np.random.default_rng([seed, 0xDE30])
    noise = rng.normal(0, _WITHIN_GRADE_SD, len(rows))
    grades = np.array([row["grade"] for row in rows], dtype=np.float64)
    measures = _GRADE_GAP * (grades - grades.mean()) + noise - noise.mean()
    return tuple(
        SimulatedSubject(name=row["id"], measures={"": float(measure)}, texts=(row["conversation"],))
        for row, measure in zip(rows, measures, strict=True)
    )
