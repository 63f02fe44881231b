"""Facet levels, and studies that do not suit their instrument."""

from __future__ import annotations

import pytest

from psymetric.design import Study
from psymetric.design.levels import facet_levels
from psymetric.errors import StudyError
from psymetric.instruments import load_instrument

MODEL = "{name: a, base_url: 'http://127.0.0.1:1/v1', model: m}"
TEXTS = "{from: support-conversations, text: conversation}"


def levels(
    instrument: str, extra: str = "", *, subjects: str = "", judges: str | None = None
) -> dict[str, tuple[str, ...]]:
    inventory = instrument == "big-five-20"
    subjects = subjects or (f"[{MODEL}]" if inventory else TEXTS)
    judges = ("" if inventory else f"[{MODEL}]") if judges is None else judges
    text = f"study: s\ninstrument: {instrument}\nsubjects: {subjects}\n{extra}\n" + (
        f"judges: {judges}" if judges else ""
    )
    return facet_levels(Study.from_text(text), load_instrument(instrument))


def test_defaults_of_an_inventory() -> None:
    found = levels("big-five-20")
    assert {name: len(values) for name, values in found.items()} == {
        "template": 1,
        "order": 1,
        "item": 20,
        "label": 1,
        "replacement": 1,
        "occasion": 1,
    }
    assert (found["template"], found["replacement"], found["label"]) == (("direct",), ("self",), ("letters",))


def test_defaults_of_a_rubric_and_a_pair_task() -> None:
    assert levels("empathy-rubric")["item"] == ("emotional_reaction", "interpretation", "exploration")
    pair = levels("pairwise-empathy")
    assert pair["position"] == ("ab", "ba")
    assert "item" not in pair


def test_template_and_order_come_first_for_their_latin_square() -> None:
    assert list(levels("empathy-rubric"))[:2] == ["template", "order"]


def test_everything_that_can_be_named() -> None:
    extra = "template: [form, direct], order: [original, 2-1-3-4-5], label: numbers, replacement: all, occasion: 3"
    found = levels("big-five-20", f"facets: {{{extra}}}")
    assert found["template"] == ("form", "direct")
    assert found["order"] == ("original", "2-1-3-4-5")
    assert found["label"] == ("numbers",)
    assert found["replacement"] == ("self", "people", "men", "women")
    assert found["occasion"] == ("1", "2", "3")


def test_one_position_only() -> None:
    assert levels("pairwise-empathy", "facets: {position: ba}")["position"] == ("ba",)


def test_all_labels_leave_out_what_logprob_cannot_tell_apart() -> None:
    found = levels("empathy-rubric", "facets: {label: all}\nreadout: logprob")["label"]
    assert found == ("letters", "lower", "numbers", "reversed-numbers", "scores")
    assert set(levels("empathy-rubric", "facets: {label: all}")["label"]) - set(found) == {"roman", "symbols"}


@pytest.mark.parametrize(
    ("instrument", "extra", "message"),
    [
        (
            "empathy-rubric",
            "facets: {template: dirct}",
            r"facets\.template: no template 'dirct'; did you mean 'direct'.*, all$",
        ),
        ("empathy-rubric", "facets: {template: [direct, direct]}", r"facets\.template: 'direct' is listed twice"),
        ("empathy-rubric", "facets: {label: leters}", r"facets\.label: no label 'leters'; did you mean 'letters'"),
        (
            "empathy-rubric",
            "facets: {order: cylic}",
            r"facets\.order: no family of orders 'cylic'; did you mean 'cyclic'",
        ),
        ("empathy-rubric", "facets: {order: [3-1]}", r"facets\.order: no option order '3-1' of 3 options"),
        (
            "empathy-rubric",
            "facets: {order: [reversed, 3-2-1]}",
            "order '3-2-1' repeats another order under a second name",
        ),
        ("empathy-rubric", "facets: {order: {random: 9}}", r"facets\.order: .*3 options allow 1 to 6"),
        ("empathy-rubric", "facets: {position: both}\npersonas: [{name: p}]", "personas: .* takes no personas"),
        ("empathy-rubric", "facets: {position: ab}", r"facets\.position: .* does not compare texts"),
        ("empathy-rubric", "facets: {replacement: self}", r"facets\.replacement: .* has no replacements"),
        (
            "empathy-rubric",
            "facets: {label: roman}\nreadout: logprob",
            "'roman' can begin with the same token.*valid: letters",
        ),
        ("empathy-rubric", "facets: {label: symbols}\nreadout: logprob", "'symbols' can begin with the same token"),
        (
            "empathy-rubric",
            "model: bradley_terry",
            r"model\.kind: bradley_terry needs comparisons, .*use many_facet_rasch",
        ),
        (
            "empathy-rubric",
            "model: {kind: many_facet_rasch, steps: items}",
            r"model: ManyFacetRasch\(steps=\.\.\.\) names \['items'\], not among its facets \['item', 'template'",
        ),
        (
            "empathy-rubric",
            "model: {kind: many_facet_rasch, facets: [jugde]}",
            "no facet 'jugde'; did you mean 'judge'",
        ),
        ("pairwise-empathy", "model: rasch", r"model\.kind: rasch needs ratings, .*use bradley_terry"),
        ("pairwise-empathy", "facets: {position: ac}", r"facets\.position: no position 'ac'; .*valid: ab, ba, both"),
        (
            "big-five-20",
            "facets: {replacement: mens}",
            r"facets\.replacement: no replacement 'mens'; did you mean 'men'",
        ),
        (
            "big-five-20",
            "design: {kind: linked, judges_per_subject: 1}",
            "a linked design links judges, and an inventory",
        ),
    ],
)
def test_what_does_not_exist_or_suit_is_refused(instrument: str, extra: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        levels(instrument, extra)


@pytest.mark.parametrize(
    ("instrument", "roles", "message"),
    [
        ("big-five-20", {"subjects": TEXTS}, r"subjects: .*\(inventory\) is answered by models"),
        ("big-five-20", {"judges": f"[{MODEL}]"}, r"judges: .*takes no judges"),
        ("empathy-rubric", {"subjects": f"[{MODEL}]"}, r"subjects: .*\(rubric\) judges texts"),
        ("empathy-rubric", {"judges": ""}, "judges: .*needs at least one judge"),
        ("empathy-rubric", {"subjects": "{from: support-conversations, group: situation}"}, "takes no system or group"),
    ],
)
def test_roles_that_do_not_suit_are_refused(instrument: str, roles: dict[str, str], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        levels(instrument, **roles)
