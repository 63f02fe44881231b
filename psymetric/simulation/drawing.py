"""Drawing a world at random: for an instrument, or for everything that a study asks about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from psymetric.design.labels import labels, parse_order
from psymetric.design.levels import facet_levels, items_of
from psymetric.design.rendering import options_of
from psymetric.design.settings import TextSource
from psymetric.design.study import Study
from psymetric.design.subjects import Texts, read_texts
from psymetric.errors import DesignError
from psymetric.instruments.library import load_instrument
from psymetric.instruments.schema import Instrument
from psymetric.simulation.reading import label_set_of
from psymetric.simulation.truth import (
    SHIFTING_FACETS,
    SimulatedItem,
    SimulatedJudge,
    SimulatedSubject,
    World,
    trait_of,
)

__all__ = ["Spread", "draw_world", "world_for"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far what is drawn differs, as standard deviations in logits unless said; 0 makes all alike.

    The defaults make worlds in which the models of this library are true: no judge differs in discrimination or has a
    taste for places or labels of options.

    Attributes:
        subject: Of the measures.
        item: Of the difficulties.
        judge: Of the severities.
        discrimination: Of the log-discriminations.
        facet: Of the shifts of templates, orders, label sets and replacements.
        step_gap: Mean distance of neighbouring steps, in logits.
        step: How far at most a step of an item is moved from even distances; 0 gives all items the same steps.
        first_position: Pairs: mean advantage of the text shown first, in logits, the same for all judges.
        option_position: The same for all judges, in logits.
        refusal: Refusal rate of every judge.
    """

    subject: float = 1.2
    item: float = 0.5
    judge: float = 0.6
    discrimination: float = 0.0
    facet: float = 0.2
    step_gap: float = 1.4
    step: float = 0.2
    first_position: float = 0.4
    option_position: float = 0.0
    refusal: float = 0.02

    def __post_init__(self) -> None:
        for name in ("subject", "item", "judge", "discrimination", "facet", "step"):
            if not getattr(self, name) >= 0:
                raise DesignError(f"Spread: {name} must be 0 or more, got {getattr(self, name)}")


def draw_world(
    instrument: Instrument,
    *,
    subjects: Mapping[str, Sequence[str]] | Sequence[SimulatedSubject],
    judges: Sequence[str | SimulatedJudge],
    facets: Mapping[str, Sequence[str]] | None = None,
    spread: Spread | None = None,
    seed: int = 0,
) -> World:
    """Draw the parameters of a world.

    Args:
        instrument: What is asked.
        subjects: Names with the texts of each, whose measures are then drawn (subjects of one and the same text get the
            same measure), or subjects with their measures. For an inventory without `SimulatedSubject`s each judge is
            one subject, and only the names count.
        judges: Names, whose parameters are drawn, or judges.
        facets: Levels of template, order, label and replacement to draw shifts for. Label sets that look alike in
            some order, such as "numbers" and "scores" of a scale from 1 to 5, get none: no judge can tell them apart.
        spread: How far they differ.
        seed: Of the parameters and of all answers.

    Raises:
        DesignError: The parts do not fit one another, see `World`.
    """
    spread, rng = spread or Spread(), np.random.default_rng([seed, 0x5EED])
    shifts = {facet: tuple(levels) for facet, levels in (facets or {}).items() if facet in SHIFTING_FACETS}
    shifts["label"] = _told_apart(instrument, shifts.get("label", ()), shifts.get("order", ("original",)))
    traits = sorted({trait_of(instrument, item) for item in items_of(instrument)} or {""})
    return World(
        instrument=instrument,
        subjects=_subjects(subjects, traits, spread, rng),
        judges=_judges(judges, spread, rng, rated=bool(items_of(instrument)) and instrument.kind != "inventory"),
        items=_items(instrument, spread, rng),
        shifts={facet: dict(zip(levels, _centred(rng, len(levels), spread.facet), strict=True))
                for facet, levels in shifts.items()},
        seed=seed,
    )  # fmt: skip


def world_for(study: Study, *, spread: Spread | None = None, seed: int = 0) -> World:
    """Draw a world for everything a study asks about: its subjects, judges, items and facet levels.

    Raises:
        StudyError: The study does not suit its instrument, or its texts cannot be read.
        DesignError: Two compared systems share a text, by which no judge could tell them apart.
    """
    instrument = load_instrument(study.instrument, folder=study.folder)
    levels = facet_levels(study, instrument, seed=seed)
    judges = tuple(endpoint.name for endpoint in study.endpoints)
    if isinstance(study.subjects, TextSource):
        found = _by_system(read_texts(study.subjects, folder=study.folder))
        return draw_world(instrument, subjects=found, judges=judges, facets=levels, spread=spread, seed=seed)
    personas = [(f"/{persona.name}", persona.prompt) for persona in study.personas] or [("", "")]
    names = {f"{judge}{ending}": (judge, prompt) for judge in judges for ending, prompt in personas}
    traits = sorted({trait_of(instrument, item) for item in items_of(instrument)})
    rng, sd = np.random.default_rng([seed, 0xFACE]), (spread or Spread()).subject
    drawn = [
        SimulatedSubject(
            name=name, measures=dict(zip(traits, rng.normal(0, sd, len(traits)).tolist(), strict=True)),
            model=model, persona=prompt,
        )
        for name, (model, prompt) in names.items()
    ]  # fmt: skip
    return draw_world(instrument, subjects=drawn, judges=judges, facets=levels, spread=spread, seed=seed)


def _by_system(texts: Texts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for system, text in zip(texts.systems, texts.texts, strict=True):
        found.setdefault(system, []).append(text)
    return found


def _subjects(
    given: Mapping[str, Sequence[str]] | Sequence[SimulatedSubject],
    traits: Sequence[str],
    spread: Spread,
    rng: np.random.Generator,
) -> tuple[SimulatedSubject, ...]:
    if not isinstance(given, Mapping):
        return tuple(given)
    known: dict[tuple[str, ...], dict[str, float]] = {}
    drawn: list[SimulatedSubject] = []
    for name, texts in given.items():
        measures = dict(zip(traits, rng.normal(0, spread.subject, len(traits)).tolist(), strict=True))
        if texts:
            measures = known.setdefault(tuple(texts), measures)
        drawn.append(SimulatedSubject(name=name, measures=measures, texts=tuple(texts), model=name))
    return tuple(drawn)


def _judges(
    given: Sequence[str | SimulatedJudge], spread: Spread, rng: np.random.Generator, *, rated: bool
) -> tuple[SimulatedJudge, ...]:
    severities = _centred(rng, len(given), spread.judge if rated else 0.0)
    discriminations = np.exp(_centred(rng, len(given), spread.discrimination)).tolist()
    return tuple(
        judge
        if isinstance(judge, SimulatedJudge)
        else SimulatedJudge(
            name=judge,
            severity=severity,
            discrimination=discrimination,
            first_position=spread.first_position,
            option_position=spread.option_position,
            refusal=spread.refusal,
        )
        for judge, severity, discrimination in zip(given, severities, discriminations, strict=True)
    )


def _items(instrument: Instrument, spread: Spread, rng: np.random.Generator) -> tuple[SimulatedItem, ...]:
    names = items_of(instrument)
    size = instrument.response.n_categories - 1
    by_trait: dict[str, list[str]] = {}
    for name in names:
        by_trait.setdefault(trait_of(instrument, name), []).append(name)
    difficulty: dict[str, float] = {}
    for members in by_trait.values():
        # Centred within a trait, because each trait is a scale of its own.
        difficulty |= dict(zip(members, _centred(rng, len(members), spread.item), strict=True))
    return tuple(
        SimulatedItem(name=name, difficulty=difficulty[name], steps=_steps(size, spread, rng)) for name in names
    )


def _steps(size: int, spread: Spread, rng: np.random.Generator) -> tuple[float, ...]:
    moved = spread.step_gap * np.arange(size) + rng.uniform(-spread.step, spread.step, size)
    return tuple((moved - moved.mean()).tolist())


def _told_apart(instrument: Instrument, sets: Sequence[str], orders: Sequence[str]) -> tuple[str, ...]:
    """The label sets that are read back as themselves in every order, and that no other set is read back as."""
    scores = options_of(instrument, next(iter(items_of(instrument)), None))[2]
    confused: set[str] = set()
    for name in sets:
        for order in orders:
            shown = [scores[i] for i in parse_order(order, len(scores))]
            read = label_set_of(labels(name, len(shown), scores=shown), shown)
            confused |= {name, read} if read != name else set()
    return tuple(name for name in sets if name not in confused)


def _centred(rng: np.random.Generator, size: int, sd: float) -> list[float]:
    values = rng.normal(0, sd, size)
    return (values - values.mean()).tolist() if size else []
