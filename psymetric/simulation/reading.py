"""Reading a request back: which item, in which wording and option order, about whom.

The simulated judges know nothing but the text they are sent, as real ones do. A prompt is read in two steps: fenced
texts are cut out and name the subjects; what remains must be one of the instrument's wordings around a block of option
lines. Nothing inside a fence is ever taken for an option or an instruction, and a prompt that is not read in full is
refused rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from psymetric.design.fences import FENCE, fence, unfence
from psymetric.design.labels import LABEL_SETS, labels
from psymetric.design.levels import items_of
from psymetric.design.rendering import options_of, render
from psymetric.errors import DataError, StudyError
from psymetric.instruments.schema import Instrument, Inventory, PairTask
from psymetric.simulation.truth import SimulatedSubject, World

__all__ = ["Options", "Question", "Reader", "label_set_of"]

_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Options:
    """The option lines as shown.

    Attributes:
        labels: Labels in the order shown.
        shown: For each, which option it stands for: its position 0..K-1 in the instrument's own order.
        order: The order's name: "original", "reversed", or such as "2-3-1".
        label_set: Name of the first label set that gives these labels, or "" when none does.
    """

    labels: tuple[str, ...]
    shown: tuple[int, ...]
    order: str
    label_set: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a prompt asks, apart from the texts.

    Attributes:
        item: Item or criterion; "" for a pair task.
        template: Name of the wording.
        replacement: Inventories: name of what {subject} stands for, "" where the wording has none.
        persona: System text before the wording's own.
        options: The option lines.
    """

    item: str
    template: str
    replacement: str
    persona: str
    options: Options


@dataclass(frozen=True, slots=True)
class _Wording:
    """What stands around the options of one template and item."""

    item: str
    template: str
    replacement: str
    system: str
    before: str
    after: str


@final
class Reader:
    """Reads the prompts of one world.

    Args:
        world: Whose instrument and texts are known.

    Raises:
        DesignError: The instrument's wordings cannot be rendered.
    """

    def __init__(self, world: World) -> None:
        self._instrument = world.instrument
        self._wordings = tuple(dict.fromkeys(_wordings(world.instrument)))
        self._subjects = {_shown(text): subject for subject in world.subjects for text in subject.texts}
        self._answering = {(subject.model, subject.persona.strip()): subject for subject in world.subjects}
        # A study repeats few wordings around many texts; only what was read is kept, so strangers cannot fill it.
        self._read: dict[tuple[str, str], Question] = {}

    def read(self, model: str, messages: Any) -> tuple[Question, tuple[SimulatedSubject, ...]]:
        """What is asked, and about whom: one subject, or those of the first and the second text.

        Args:
            model: Model name of the request.
            messages: The request's `messages`.

        Raises:
            DataError: The messages are not a prompt of this world; says what could not be read.
        """
        system, user = _contents(messages)
        skeleton = FENCE.sub(_emptied, user)
        question = self._read.get((system, skeleton))
        if question is None:
            question = self._question(system, skeleton)
            self._read[system, skeleton] = question
        if isinstance(self._instrument, Inventory):
            return question, (self._answerer(model, question.persona),)
        found = unfence(user)
        names = ("first", "second") if isinstance(self._instrument, PairTask) else ("text",)
        return question, tuple(self._subject(found[name]) for name in names)

    def _question(self, system: str, skeleton: str) -> Question:
        problem = f"no wording of {self._instrument.name!r} reads like it"
        for wording in self._wordings:
            persona = _persona(system, wording.system)
            if persona is None or not (skeleton.startswith(wording.before) and skeleton.endswith(wording.after)):
                continue
            block = skeleton[len(wording.before) : len(skeleton) - len(wording.after)]
            options = _options(block, self._instrument, wording.item)
            if options is not None:
                return Question(wording.item, wording.template, wording.replacement, persona, options)
            problem = f"its options are not those of {wording.item or self._instrument.name!r}: {block[:_SHOWN]!r}"
        raise DataError(f"this prompt cannot be read: {problem}; it begins {skeleton[:_SHOWN]!r}")

    def _subject(self, text: str) -> SimulatedSubject:
        if text not in self._subjects:
            raise DataError(
                f"this prompt cannot be read: its text is of no subject of this world; it begins {text[:_SHOWN]!r}"
            )
        return self._subjects[text]

    def _answerer(self, model: str, persona: str) -> SimulatedSubject:
        if (model, persona) not in self._answering:
            raise DataError(
                f"this prompt cannot be read: model {model!r} has no persona that begins {persona[:_SHOWN]!r}"
            )
        return self._answering[model, persona]


def _wordings(instrument: Instrument) -> Iterator[_Wording]:
    replacements = tuple(instrument.replacements) if isinstance(instrument, Inventory) else ()
    texts = {"inventory": (), "rubric": ("-",), "pair": ("-", "-")}[instrument.kind]
    seen: set[tuple[str, str, str]] = set()
    for template in instrument.templates:
        for item in items_of(instrument) or (None,):
            for replacement in replacements or (None,):
                prompt = render(instrument, item=item, texts=texts, template=template, replacement=replacement)
                system, user = _contents([{"role": role, "content": text} for role, text in prompt.messages])
                block = "\n".join(
                    f"{label}) {text}"
                    for label, text in zip(prompt.labels, options_of(instrument, item)[0], strict=True)
                )
                before, _, after = FENCE.sub(_emptied, user).partition(block)
                # Where a template does not name {subject}, all its replacements are one wording.
                if (system, before, after) not in seen:
                    seen.add((system, before, after))
                    named = "" if replacement is None else replacement
                    yield _Wording(item or "", template, named, system, before, after)


def _emptied(match: Any) -> str:
    return f"<{match[1]}></{match[1]}>"


def _shown(text: str) -> str:
    """A text as it looks inside a fence."""
    return unfence(fence({"text": text})["text"])["text"]


def _persona(system: str, own: str) -> str | None:
    """What the system message holds besides the wording's own; None when it does not end with that."""
    if not own:
        return system.strip()
    if system == own:
        return ""
    return system.removesuffix(f"\n\n{own}").strip() if system.endswith(f"\n\n{own}") else None


def _options(block: str, instrument: Instrument, item: str) -> Options | None:
    """The options of a block that holds every option once and nothing else; None for any other."""
    texts, _, scores = options_of(instrument, item or None)
    found_labels: list[str] = []
    shown: list[int] = []
    rest = block
    while rest:
        label, mark, tail = rest.partition(") ")
        fits = [i for i, text in enumerate(texts) if tail == text or tail.startswith(f"{text}\n")]
        if not mark or not label or label.split() != [label] or not fits:
            return None
        best = max(fits, key=lambda i: len(texts[i]))
        found_labels.append(label)
        shown.append(best)
        rest = tail[len(texts[best]) + 1 :]
    if sorted(shown) != list(range(len(texts))) or len(set(found_labels)) != len(found_labels):
        return None
    if block.endswith("\n"):
        return None
    label_set = label_set_of(tuple(found_labels), [scores[i] for i in shown])
    return Options(tuple(found_labels), tuple(shown), _order_name(shown), label_set)


def label_set_of(found: tuple[str, ...], scores: Sequence[object]) -> str:
    """Name of the first label set that gives these labels to options with these scores, "" when none does."""
    for name in LABEL_SETS:
        try:
            if labels(name, len(found), scores=scores) == found:
                return name
        except StudyError:  # a set with fewer labels than there are options
            continue
    return ""


def _order_name(shown: Sequence[int]) -> str:
    original = list(range(len(shown)))
    if list(shown) == original:
        return "original"
    return "reversed" if list(shown) == original[::-1] else "-".join(str(i + 1) for i in shown)


def _contents(messages: Any) -> tuple[str, str]:
    """System and user text of a request."""
    if not isinstance(messages, list) or not all(isinstance(part, dict) for part in messages):
        raise DataError("this prompt cannot be read: messages must be a list of {role, content}")
    parts = [(part.get("role"), _text(part.get("content"))) for part in messages]
    roles = [role for role, _ in parts]
    if roles not in (["user"], ["system", "user"]) or any(text is None for _, text in parts):
        raise DataError(
            f"this prompt cannot be read: expected one user message after at most one system message, got {roles}"
        )
    system = parts[0][1] if len(parts) == 2 else ""
    return str(system), str(parts[-1][1])


def _text(content: Any) -> str | None:
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(map(str, texts)) if len(texts) == len(content) else None
    return content if isinstance(content, str) else None
