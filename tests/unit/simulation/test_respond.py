from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from psymetric.design.rendering import render
from psymetric.errors import ModelNotFound
from psymetric.instruments import load_instrument
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.providers.base import Prompt
from psymetric.simulation.drawing import Spread, draw_world
from psymetric.simulation.reading import Reader
from psymetric.simulation.respond import Respondents, option_probabilities
from psymetric.simulation.truth import SimulatedJudge, World

TEXTS = {"one": ["text one"], "two": ["text two"], "three": ["text three"]}
# A chi-square test that fails one time in a thousand when all is well, with a fixed seed: it does or it does not.
LEAST_P = 0.001


def body_of(prompt: Prompt, model: str, seed: int = 0) -> dict[str, object]:
    sent = [{"role": role, "content": content} for role, content in prompt.messages]
    return {"model": model, "messages": sent, "seed": seed}


def rubric_world() -> World:
    instrument = load_instrument("empathy-rubric")
    facets = {"template": list(instrument.templates), "order": ["original", "2-3-1"], "label": ["letters", "numbers"]}
    return draw_world(instrument, subjects=TEXTS, judges=["mild", "stern"], facets=facets, seed=5)


def probabilities(world: World, prompt: Prompt, model: str) -> np.ndarray:
    """By category code, as read through the whole of the reader."""
    sent = body_of(prompt, model)
    question, subjects = Reader(world).read(model, sent["messages"])
    judge = next(judge for judge in world.judges if judge.name == model)
    shown = option_probabilities(world, judge, question, subjects)
    found = np.empty(len(shown))
    found[list(prompt.values)] = shown
    return found


def test_rubric_probabilities_are_those_of_the_many_facet_model() -> None:
    world = rubric_world()
    facets = ("item", "judge", "template", "order", "label")
    model = ManyFacetRasch(facets=facets, steps="item")
    params = {
        "ability": jnp.array([subject.measures[""] for subject in world.subjects]),
        "item": jnp.array([item.difficulty for item in world.items]),
        "judge": jnp.array([judge.severity for judge in world.judges]),
        "step": jnp.array([item.steps for item in world.items]),
        **{facet: jnp.array(list(levels.values())) for facet, levels in world.shifts.items()},
    }
    for s, subject in enumerate(world.subjects):
        for i, item in enumerate(world.items):
            for j, judge in enumerate(world.judges):
                for t, template in enumerate(world.shifts["template"]):
                    for o, order in enumerate(world.shifts["order"]):
                        label = t % 2
                        prompt = render(world.instrument, item=item.name, texts=subject.texts, template=template,
                                        order=order, label=list(world.shifts["label"])[label])  # fmt: skip
                        at = dict(zip(("subject", *facets), (s, i, j, t, o, label), strict=True))
                        codes = {name: jnp.array([code]) for name, code in at.items()}
                        expected = np.exp(np.asarray(model.category_log_probs(params, codes, 3))[0])
                        np.testing.assert_allclose(probabilities(world, prompt, judge.name), expected, rtol=1e-6)


@pytest.mark.parametrize("position", ["ab", "ba"])
def test_pair_probabilities_are_those_of_the_davidson_model(position: str) -> None:
    instrument = load_instrument("pairwise-empathy")
    world = draw_world(instrument, subjects=TEXTS, judges=["m"], spread=Spread(first_position=0.7), seed=2)
    prompt = render(instrument, texts=["text one", "text two"], template="seeker", order="3-1-2", position=position)
    left, right = (0, 1) if position == "ab" else (1, 0)
    params = {
        "worth": jnp.array([subject.measures[""] for subject in world.subjects]),
        "position": jnp.array(0.7),
        "tie": jnp.array(world.tie),
    }
    codes = {"left": jnp.array([left]), "right": jnp.array([right])}
    model = BradleyTerry(ties="davidson", position=True)
    shown_first = np.exp(np.asarray(model.category_log_probs(params, codes, 3))[0])
    # A prompt's values call the plan's left text 0, wherever it was shown; the model's left is the one shown first.
    expected = shown_first if position == "ab" else shown_first[[1, 0, 2]]
    np.testing.assert_allclose(probabilities(world, prompt, "m"), expected, rtol=1e-6)


def test_reverse_keyed_items_are_answered_the_other_way_round() -> None:
    world = draw_world(load_instrument("big-five-20"), subjects={"m": []}, judges=["m"], seed=3)
    high = replace(
        world, subjects=(replace(world.subjects[0], measures=dict.fromkeys(world.subjects[0].measures, 4.0)),)
    )
    towards = probabilities(high, render(world.instrument, item="E1", template="direct", order="reversed"), "m")
    against = probabilities(high, render(world.instrument, item="E3", template="direct", order="reversed"), "m")
    assert towards[4] > 0.5
    assert against[0] > 0.5


def test_tastes_for_places_and_labels_and_discrimination() -> None:
    world = rubric_world()
    prompt = render(world.instrument, item="exploration", texts=["text one"], template="direct", order="2-3-1")

    def logs(**changes: object) -> np.ndarray:
        judge = replace(world.judges[0], **changes)
        found = np.log(probabilities(replace(world, judges=(judge,)), prompt, judge.name))
        return (found - found[0])[1:]

    plain = logs()
    # Shown second, third, first: categories 1, 2, 0 stand at places 0, 1, 2, worth 1, 1/2 and 0 of the taste.
    np.testing.assert_allclose(logs(option_position=0.6) - plain, [0.6, 0.3])
    np.testing.assert_allclose(logs(label_preference={"B": 0.4}) - plain, [0.0, 0.4], atol=1e-12)
    np.testing.assert_allclose(logs(discrimination=0.5), 0.5 * plain)


def test_draws_follow_the_probabilities() -> None:
    world = rubric_world()
    respondents = Respondents(replace(world, judges=(replace(world.judges[0], refusal=0.1), world.judges[1])))
    prompt = render(world.instrument, item="interpretation", texts=["text two"], template="evidence", order="reversed")
    answers = [respondents.answer(body_of(prompt, "mild", seed)) for seed in range(4000)]
    counts = Counter(answer.label for answer in answers)
    expected = {None: 0.1} | {
        label: 0.9 * p for label, p in zip(answers[0].labels, answers[0].probabilities, strict=True)
    }
    assert math.isclose(sum(expected.values()), 1)
    test = chisquare([counts[label] for label in expected], [4000 * p for p in expected.values()])
    assert test.pvalue > LEAST_P
    assert np.isclose(np.mean([answer.whim for answer in answers]), 0.5, atol=4 * np.sqrt(1 / 12 / 4000))


def test_a_wrong_probability_would_be_noticed() -> None:
    """The power of the test above: shifting the truth by a quarter of a logit fails it."""
    world = rubric_world()
    prompt = render(world.instrument, item="interpretation", texts=["text two"], template="evidence")
    shifted = replace(world, judges=(replace(world.judges[0], severity=world.judges[0].severity + 0.25),))
    respondents = Respondents(shifted)
    answers = [respondents.answer(body_of(prompt, "mild", seed)) for seed in range(4000)]
    truth = Respondents(replace(world, judges=(replace(world.judges[0], refusal=0.0),))).answer(body_of(prompt, "mild"))
    counts = Counter(answer.label for answer in answers if answer.label)
    total = sum(counts.values())
    test = chisquare([counts[label] for label in truth.labels], [total * p for p in truth.probabilities])
    assert test.pvalue < LEAST_P


def test_answers_depend_on_the_request_and_the_world_alone() -> None:
    world = rubric_world()
    prompt = render(world.instrument, item="exploration", texts=["text one"], template="direct")
    forward = [Respondents(world).answer(body_of(prompt, "stern", seed)) for seed in range(50)]
    again = Respondents(world)
    backward = [again.answer(body_of(prompt, "stern", seed)) for seed in reversed(range(50))][::-1]
    assert forward == backward
    other = Respondents(replace(world, seed=world.seed + 1))
    assert [other.answer(body_of(prompt, "stern", seed)).whim for seed in range(50)] != [a.whim for a in forward]
    assert len({answer.whim for answer in forward}) == 50
    shuffled = dict(reversed(body_of(prompt, "stern", 7).items()))
    assert again.answer(shuffled) == forward[7]


def test_choices_of_one_request_are_drawn_apart() -> None:
    world = rubric_world()
    prompt = render(world.instrument, item="exploration", texts=["text one"], template="direct")
    respondents = Respondents(world)
    assert len({respondents.answer(body_of(prompt, "mild"), choice=i).whim for i in range(8)}) == 8


def test_unknown_model_is_named() -> None:
    with pytest.raises(ModelNotFound, match="no model 'milt'; there are mild, stern"):
        Respondents(rubric_world()).answer({"model": "milt", "messages": []})


def test_a_judge_may_always_refuse() -> None:
    world = rubric_world()
    respondents = Respondents(replace(world, judges=(SimulatedJudge(name="never", refusal=1.0),)))
    prompt = render(world.instrument, item="exploration", texts=["text one"], template="direct")
    assert all(respondents.answer(body_of(prompt, "never", seed)).label is None for seed in range(50))
