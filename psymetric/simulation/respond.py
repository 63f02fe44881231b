"""What a judge of a world answers: probabilities of the options from the prompt it was sent, and a draw from them.

Pure functions: the same world and the same request give the same answer, whenever and in whatever order requests come.
Requests that differ in anything (seed, occasion's seed, wording, judge) are drawn independently. Temperature is part of
the request but does not sharpen the draw: the probabilities describe how the judge answers at the study's temperature.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from psymetric.errors import ModelNotFound
from psymetric.instruments.schema import Inventory, PairTask
from psymetric.simulation.reading import Options, Question, Reader
from psymetric.simulation.truth import SHIFTING_FACETS, SimulatedItem, SimulatedJudge, SimulatedSubject, World, trait_of

__all__ = ["Answer", "Respondents", "option_probabilities"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One drawn answer.

    Attributes:
        label: The label chosen, or None where the judge refuses.
        labels: Labels in the order shown.
        probabilities: Their probabilities given an answer, summing to one.
        refusal: The judge's refusal rate.
        whim: A uniform draw in [0, 1) for how the answer is worded.
    """

    label: str | None
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    refusal: float
    whim: float


@final
class Respondents:
    """The judges of a world, ready to answer.

    Args:
        world: Who they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._reader = Reader(world)
        self._known: dict[tuple[str, Question, tuple[str, ...]], tuple[float, ...]] = {}

    @cached_property
    def judges(self) -> Mapping[str, SimulatedJudge]:
        """Judges by name."""
        return {judge.name: judge for judge in self.world.judges}

    def answer(self, body: Mapping[str, Any], *, choice: int = 0) -> Answer:
        """The answer to one request body.

        Args:
            body: The request as sent: `model`, `messages` and whatever else; all of it seeds the draw.
            choice: Which of several choices to one request.

        Raises:
            ModelNotFound: No judge has this name.
            DataError: The prompt cannot be read.
        """
        name = str(body.get("model"))
        judge = self.judges.get(name)
        if judge is None:
            raise ModelNotFound(f"no model {name!r}; there are {', '.join(sorted(self.judges))}", status=404)
        question, subjects = self._reader.read(name, body.get("messages"))
        key = (name, question, tuple(subject.name for subject in subjects))
        probabilities = self._known.get(key)
        if probabilities is None:
            probabilities = option_probabilities(self.world, judge, question, subjects)
            self._known[key] = probabilities
        refuses, picks, whim = _uniforms(self.world.seed, body, choice)
        label = None if refuses < judge.refusal else question.options.labels[_pick(probabilities, picks)]
        return Answer(label, question.options.labels, probabilities, judge.refusal, whim)


def option_probabilities(
    world: World, judge: SimulatedJudge, question: Question, subjects: Sequence[SimulatedSubject]
) -> tuple[float, ...]:
    """Probability of each option in the order shown, given that the judge answers; shape (options,).

    Args:
        world: Items, shifts and ties.
        judge: Who answers.
        question: What is asked.
        subjects: Whom it is about: one, or the first and the second of a pair.
    """
    if isinstance(world.instrument, PairTask):
        weights = _pair_weights(world, judge, subjects[0], subjects[1])
    else:
        item = next(item for item in world.items if item.name == question.item)
        shift = sum(world.shift(facet, level) for facet, level in zip(SHIFTING_FACETS, _levels(question), strict=True))
        weights = _category_weights(world, judge, item, subjects[0], shift)
    return _softmax([weight + taste for weight, taste in _tasted(weights, judge, question.options)])


def _levels(question: Question) -> tuple[str, ...]:
    options = question.options
    return question.template, options.order, options.label_set, question.replacement


def _category_weights(
    world: World, judge: SimulatedJudge, item: SimulatedItem, subject: SimulatedSubject, shift: float
) -> list[float]:
    """Log-weights of the options in the instrument's order; those of reverse-keyed items are turned round."""
    theta = subject.measures[trait_of(world.instrument, item.name)]
    location = theta - item.difficulty - judge.severity - shift
    weights = [0.0]
    for step in item.steps:
        weights.append(weights[-1] + judge.discrimination * (location - step))
    return weights[::-1] if _is_reversed(world, item.name) else weights


def _is_reversed(world: World, item: str) -> bool:
    instrument = world.instrument
    return isinstance(instrument, Inventory) and any(i.id == item and i.key == -1 for i in instrument.items)


def _pair_weights(
    world: World, judge: SimulatedJudge, first: SimulatedSubject, second: SimulatedSubject
) -> list[float]:
    """Log-weights of "first", "second" and, where allowed, "tie" (Davidson, 1970; Davidson & Beaver, 1977)."""
    one, two = (judge.discrimination * subject.measures[""] for subject in (first, second))
    weights = [one + judge.first_position, two, world.tie + (one + two) / 2]
    return weights[: world.instrument.response.n_categories]


def _tasted(weights: Sequence[float], judge: SimulatedJudge, options: Options) -> list[tuple[float, float]]:
    """Log-weight of each shown option, and what its place and its label add."""
    last = len(options.shown) - 1
    return [
        (weights[option], judge.option_position * (1 - place / last) + judge.label_preference.get(label, 0.0))
        for place, (label, option) in enumerate(zip(options.labels, options.shown, strict=True))
    ]


def _softmax(weights: Sequence[float]) -> tuple[float, ...]:
    top = max(weights)
    powers = [math.exp(weight - top) for weight in weights]
    total = sum(powers)
    return tuple(power / total for power in powers)


def _pick(probabilities: Sequence[float], uniform: float) -> int:
    reached = 0.0
    for place, probability in enumerate(probabilities):
        reached += probability
        if uniform < reached:
            return place
    return len(probabilities) - 1


def _uniforms(seed: int, body: Mapping[str, Any], choice: int) -> tuple[float, ...]:
    """Three uniform draws in [0, 1) that depend on the whole request and nothing else."""
    content = json.dumps([seed, choice, body], sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(content.encode(), digest_size=24).digest()
    # 53 bits, the most a float between 0 and 1 holds evenly: a full 64 could round to 1.
    return tuple((int.from_bytes(digest[i : i + 8], "big") >> 11) / 2**53 for i in (0, 8, 16))
