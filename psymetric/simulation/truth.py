"""Worlds whose truth is known: subjects, items and judges with their parameters in logits.

A judge's answer follows the many-facet Rasch model of `psymetric.models.many_facet`, to which it adds what real judges
have and that model lacks:

    log P(k) / P(k-1) = a_j (θ_s - δ_i - ρ_j - shifts - τ_ik), plus the judge's taste for places and labels of options.

With every discrimination a_j at 1 and no such taste the model is true. The unit of the logits is that of the judges'
geometric mean discrimination, so that a Rasch fit to judges of unequal discrimination is on nearly the same scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, final

from psymetric.errors import DesignError
from psymetric.instruments.schema import Instrument, Inventory, PairTask

__all__ = ["SHIFTING_FACETS", "SimulatedItem", "SimulatedJudge", "SimulatedSubject", "World", "trait_of"]

SHIFTING_FACETS: Final = ("template", "order", "label", "replacement")
"""Facets besides judge and item whose levels a server can tell from the prompt."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedJudge:
    """How one model answers; in an inventory the model is also what is measured.

    Attributes:
        name: Model name in requests.
        severity: Added to the difficulty of every criterion, in logits.
        discrimination: How sharply it tells subjects apart, relative to 1; low is erratic.
        first_position: Pairs: logits in favour of the text shown first.
        option_position: Logits by which the first listed option is preferred to the last, falling evenly in between.
        label_preference: Logits in favour of the option that carries a label, such as {"A": 0.5}.
        refusal: Share of requests it refuses, at random.

    Raises:
        DesignError: A number outside its range.
    """

    name: str
    severity: float = 0.0
    discrimination: float = 1.0
    first_position: float = 0.0
    option_position: float = 0.0
    label_preference: Mapping[str, float] = field(default_factory=dict[str, float])
    refusal: float = 0.0

    def __post_init__(self) -> None:
        values = (self.severity, self.first_position, self.option_position, *self.label_preference.values())
        _require_finite(f"judge {self.name!r}", values)
        if not (self.discrimination > 0 and isfinite(self.discrimination)):
            raise DesignError(f"judge {self.name!r}: discrimination must be positive, got {self.discrimination}")
        if not 0 <= self.refusal <= 1:
            raise DesignError(f"judge {self.name!r}: refusal is a share between 0 and 1, got {self.refusal}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSubject:
    """What is measured: a text or the system behind several texts, or a model (under a persona).

    Attributes:
        name: Label in plans and tables.
        measures: True measure θ by trait, in logits; the key is "" where items have no trait.
        texts: The texts by which judges know it; none for an inventory.
        model: Inventories: the judge that answers for it.
        persona: Inventories: the system text under which the model is this subject.
    """

    name: str
    measures: Mapping[str, float]
    texts: tuple[str, ...] = ()
    model: str = ""
    persona: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedItem:
    """One item or criterion: its difficulty δ, and its steps τ, shape (categories - 1,), both in logits."""

    name: str
    difficulty: float
    steps: tuple[float, ...]


@final
@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that decides how the judges of one study answer.

    Attributes:
        instrument: What is asked.
        subjects: What is measured.
        judges: Who answers.
        items: One for every item or criterion; none for a pair task.
        shifts: Severity in logits of the levels of template, order, label set and replacement; 0 where not given.
        tie: Pair tasks with ties: log ν of the Davidson model.
        seed: Seed of all answers.

    Raises:
        DesignError: Names are repeated or unknown, numbers are not finite, items do not match the instrument, or two
            subjects of different measures share a text.
    """

    instrument: Instrument
    subjects: tuple[SimulatedSubject, ...]
    judges: tuple[SimulatedJudge, ...]
    items: tuple[SimulatedItem, ...] = ()
    shifts: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    tie: float = -1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in ("subjects", "judges"):
            names = [part.name for part in getattr(self, kind)]
            repeated = [name for name, count in Counter(names).items() if count > 1]
            if repeated or not names:
                what = f"{repeated[0]!r} is there more than once" if repeated else "there are none"
                raise DesignError(f"World: {kind} must have names of their own: {what}")
        self._check_items()
        self._check_shifts()
        self._check_subjects()

    def _check_items(self) -> None:
        wanted = () if isinstance(self.instrument, PairTask) else tuple(_traits(self.instrument))
        given = tuple(item.name for item in self.items)
        if sorted(given) != sorted(wanted):
            raise DesignError(f"World: items {list(given)} must be those of {self.instrument.name}: {list(wanted)}")
        steps = self.instrument.response.n_categories - 1
        for item in self.items:
            _require_finite(f"item {item.name!r}", (item.difficulty, *item.steps))
            if len(item.steps) != steps or abs(sum(item.steps)) > 1e-9:
                raise DesignError(f"World: item {item.name!r} needs {steps} steps that sum to 0, got {item.steps}")

    def _check_shifts(self) -> None:
        unknown = sorted(self.shifts.keys() - set(SHIFTING_FACETS))
        if unknown:
            raise DesignError(f"World: no shift for facet {unknown[0]!r}; valid: {', '.join(SHIFTING_FACETS)}")
        _require_finite("shifts", (value for levels in self.shifts.values() for value in levels.values()))

    def _check_subjects(self) -> None:
        traits = {""} if isinstance(self.instrument, PairTask) else set(_traits(self.instrument).values())
        models, owners = {judge.name for judge in self.judges}, dict[str, SimulatedSubject]()
        for subject in self.subjects:
            _require_finite(f"subject {subject.name!r}", subject.measures.values())
            if set(subject.measures) != traits:
                raise DesignError(
                    f"World: subject {subject.name!r} needs a measure of each of {sorted(traits)}, "
                    f"got {sorted(subject.measures)}"
                )
            if isinstance(self.instrument, Inventory) and subject.model not in models:
                raise DesignError(f"World: subject {subject.name!r} needs one of the models {sorted(models)}")
            for text in subject.texts:
                other = owners.setdefault(text, subject)
                if other.measures != subject.measures:
                    raise DesignError(
                        f"World: subjects {other.name!r} and {subject.name!r} differ in measure and share a text, "
                        f"by which no judge can tell them apart: {text[:60]!r}"
                    )

    def shift(self, facet: str, level: str) -> float:
        """Severity of a level, in logits; 0 where none was given."""
        return self.shifts.get(facet, {}).get(level, 0.0)


def trait_of(instrument: Instrument, item: str) -> str:
    """The trait an item measures, "" where it names none."""
    return "" if isinstance(instrument, PairTask) else _traits(instrument)[item]


def _traits(instrument: Instrument) -> dict[str, str]:
    if isinstance(instrument, PairTask):
        return {}
    entries = instrument.items if isinstance(instrument, Inventory) else instrument.criteria
    return {entry.id: entry.trait or "" for entry in entries}


def _require_finite(who: str, values: Iterable[float]) -> None:
    wrong = [value for value in values if not isfinite(value)]
    if wrong:
        raise DesignError(f"World: {who}: every number must be finite, got {wrong[0]}")
