"""From an instrument and the settings of one plan row to the prompt that is sent. Pure: equal input, equal prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from psymetric.design.fences import fence
from psymetric.design.labels import labels, parse_order
from psymetric.errors import StudyError
from psymetric.instruments.schema import Instrument, Inventory, PairTask, Rubric, Template
from psymetric.instruments.yaml_files import nearest
from psymetric.providers.base import Prompt, Readout

__all__ = ["options_of", "render"]

ValueT = TypeVar("ValueT")

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]+)\}")


def render(
    instrument: Instrument,
    *,
    item: str | None = None,
    texts: Sequence[str] = (),
    template: str,
    order: str = "original",
    label: str = "letters",
    position: str = "ab",
    replacement: str | None = None,
    persona: str = "",
    readout: Readout = "sampled",
    temperature: float = 0.0,
    max_tokens: int = 16,
    seed: int | None = None,
) -> Prompt:
    """The prompt for one row of a plan.

    Options stand one per line as `<label>) <option>`. Judged text is fenced with a nonce (see `fences`) and preceded by
    the instrument's guard sentence, so it can neither close its fence nor fill a placeholder.

    Args:
        instrument: What is asked.
        item: Item or criterion id; None for a pair task.
        texts: The judged text (rubric), or the left and the right text (pair); empty for an inventory.
        template: Name of the wording.
        order: Option order, see `parse_order`.
        label: Label set, see `labels`.
        position: Pair tasks: "ab" shows the left text first, "ba" the right one.
        replacement: Inventories: name of what {subject} stands for; None takes the first.
        persona: Inventories: put before the system text.
        readout: How the answer will be read.
        temperature: Sampling temperature.
        max_tokens: Cap on the answer's tokens.
        seed: Sampling seed.

    Returns:
        A prompt whose `values` give the category code of each shown label: 0..K-1 low to high, and for pairs 0 where
        the label says that the LEFT text wins, whichever was shown first.

    Raises:
        StudyError: Unknown item, template, order, label set, position or replacement; wrong number of texts.
    """
    wording = _choose("template", template, instrument.templates)
    filled = _material(instrument, item, texts, position, replacement)
    option_texts, codes, scores = options_of(instrument, item, position)
    shown_order = parse_order(order, len(option_texts))
    shown_labels = labels(label, len(option_texts), scores=[scores[i] for i in shown_order])
    filled["options"] = "\n".join(
        f"{mark}) {option_texts[i]}" for mark, i in zip(shown_labels, shown_order, strict=True)
    )
    return Prompt(
        messages=_messages(instrument, wording, filled, persona),
        labels=shown_labels,
        values=tuple(codes[i] for i in shown_order),
        readout=readout,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
    )


def options_of(
    instrument: Instrument, item: str | None = None, position: str = "ab"
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[object, ...]]:
    """Option texts in their original order, the category code of each, and the score of each for label set "scores"."""
    if isinstance(instrument, PairTask):
        size = instrument.response.n_categories
        codes = (0, 1, 2) if position == "ab" else (1, 0, 2)
        return instrument.response.options, codes[:size], ("1", "2", "0")[:size]
    response = instrument.response
    levels: Mapping[int, str] = response.anchors
    if isinstance(instrument, Rubric):
        criterion = next((c for c in instrument.criteria if c.id == item), None)
        levels = (criterion.levels if criterion else None) or response.anchors
    return tuple(levels[c] for c in response.categories), tuple(range(response.n_categories)), response.categories


def _material(
    instrument: Instrument, item: str | None, texts: Sequence[str], position: str, replacement: str | None
) -> dict[str, str]:
    """What fills the placeholders of a template, but for the options."""
    if isinstance(instrument, Inventory):
        _expect_texts(instrument, texts, 0)
        return {"item": _item_text(instrument, item), "subject": _replacement(instrument, replacement)}
    if isinstance(instrument, Rubric):
        _expect_texts(instrument, texts, 1)
        return {"criterion": _item_text(instrument, item), **fence({"text": texts[0]})}
    _expect_texts(instrument, texts, 2)
    _choose("position", position, {"ab": None, "ba": None})
    shown = texts if position == "ab" else texts[::-1]
    return {"question": instrument.question, **fence({"first": shown[0], "second": shown[1]})}


def _messages(
    instrument: Instrument, wording: Template, filled: Mapping[str, str], persona: str
) -> tuple[tuple[str, str], ...]:
    # One pass, so that braces inside a judged text are never filled in.
    user = _PLACEHOLDER.sub(lambda match: filled.get(match[1], match[0]), _guarded(instrument, wording.user))
    system = "\n\n".join(part for part in (persona.strip(), wording.system.strip()) if part)
    return (("system", system), ("user", user)) if system else (("user", user),)


def _guarded(instrument: Instrument, user: str) -> str:
    """The template with the guard sentence before its first fence."""
    if isinstance(instrument, Inventory):
        return user
    guard = _PLACEHOLDER.sub(r"\1", instrument.guard)
    first = min(i for i in (user.find(f"{{{name}}}") for name in ("text", "first", "second")) if i >= 0)
    return f"{user[:first]}{guard}\n{user[first:]}"


def _item_text(instrument: Inventory | Rubric, item: str | None) -> str:
    entries = instrument.items if isinstance(instrument, Inventory) else instrument.criteria
    return _choose("item", "" if item is None else item, {entry.id: entry.text for entry in entries})


def _replacement(instrument: Inventory, name: str | None) -> str:
    if not instrument.replacements:
        return ""
    return (
        _choose("replacement", name, instrument.replacements) if name else next(iter(instrument.replacements.values()))
    )


def _expect_texts(instrument: Instrument, texts: Sequence[str], count: int) -> None:
    if len(texts) != count:
        raise StudyError(f"instrument {instrument.name!r} ({instrument.kind}) takes {count} texts, got {len(texts)}")


def _choose(what: str, name: str, valid: Mapping[str, ValueT]) -> ValueT:
    if name not in valid:
        raise StudyError(f"no {what} {name!r}; {nearest(name, valid)}")
    return valid[name]
