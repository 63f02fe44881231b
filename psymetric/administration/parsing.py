r"""The strict parser: from a reply's text to a category, or to a typed non-response.

It never raises on text and never guesses: a reply is read only where the answer is stated as an answer. In order: the
whole reply is a label ("4.", "**B**", "(B)"); or labels introduced as the answer ("Rating: 4", "final answer is B",
`\boxed{4}`), on a line of their own at the start or end, or leading the reply ("B) Agree"); or the reply is one
option's text. Whatever is found must agree with itself: two different answers, a range ("3-4") or an echoed list of
options without an answer is `unparsable`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from psymetric.administration._visible import plain, visible
from psymetric.data.nonresponse import NonResponse

__all__ = ["PARSER", "Reading", "parse_answer"]

PARSER: Final = "strict/1"
"""Name and version stored with every answer."""

_LONGEST: Final = 100_000
_CUT_SHORT: Final = frozenset({"length", "max_tokens", "max_output_tokens"})
_OFF_SCALE: Final = -1
_LIST_STARTS: Final = frozenset({"1", "a", "i"})
_WORDS: Final = frozenset({"a", "i"})

_DECORATION: Final = " \t\n*_`\"'“”‘’„«»()[]{}#$!;:,"
_BULLET: Final = re.compile(r"^\s*[-*•>]\s+")
_LATEX: Final = re.compile(r"\\(?:boxed|text|textbf|mathbf|mathrm)\s*\{([^{}]*)\}")
_TAG: Final = re.compile(r"<(/?)(?:final_)?(answer|rating|score|choice|verdict|label)>", re.IGNORECASE)
_NUMBER: Final = r"[-+]?\d+(?:[.,]\d+)*"
_NOUN: Final = (
    r"(?:answer|rating|score|choice|option|verdict|winner|label|selection|grade|antwort|respuesta|response(?=\W*:))"
)
_OPEN: Final = r"[\s*_`\"'“”‘’(\[{$]{0,12}"
_CLOSE: Final = r"[\s*_`\"'”’]{0,6}"
_CUES: Final = (
    rf"(?P<final>\b(?:final|overall)\s)?\b{_NOUN}\b{_CLOSE}(?:\([^()\n]{{0,60}}\))?{_CLOSE}"
    rf"(?:\bis|\bwas|\bwould\sbe|\bwill\sbe|[:=]|=>|->|→|[-–—]\s)[:=]?{_OPEN}(?:{_NOUN}\s)?{_OPEN}",
    r"\bI(?:['’]d|['’]ll|\swould|\swill)?\s"
    r"(?:(?:rate|choose|pick|select|score|answer)|(?:give|assign|say)(?=\s(?:it|this|that|a)\b))"
    rf"(?:\s(?:it|this|that|the|text|reply|one|myself|option|a|an|rating|score|of|with|as|at)\b){{0,8}}[:\s]{_OPEN}",
)
_TAIL: Final = re.compile(r"\s*(?:=|%)|['’]\w|\.\w")
_REFUSALS: Final = re.compile(
    r"\b(?:sorry|apologi[sz]e)\b[^.\n]{0,80}\b(?:can(?:no|['’])t|cannot|unable|not\s+able|won['’]t|not\s+comfortable)"
    r"|\b(?:can(?:['’]t|not)|unable\s+to|won['’]t|will\s+not|not\s+able\s+to|decline\s+to|refuse\s+to|not\s+comfortable)"
    r"[^.\n]{0,40}\b(?:answer|rat(?:e|ing)|assist|help|provid(?:e|ing)|choos(?:e|ing)|pick|select|judg(?:e|ing)|evaluat\w+"
    r"|scor(?:e|ing)|comply|fulfil\w*|engage|assess\w*|respond|participate)"
    r"|\bas\s+an?\s+(?:AI|artificial\s+intelligence|(?:large\s+)?language\s+model)\b[^.\n]{0,80}"
    r"\b(?:do\s+not|don['’]t|cannot|can['’]t|lack|unable|no\s+personal)"
    r"|\bI\s+(?:do\s+not|don['’]t)\s+have\s+(?:personal|feelings|emotions|opinions|experiences|a\s+personality)"
    r"|es\s+tut\s+mir\s+leid|lo\s+siento|je\s+suis\s+désolé|mi\s+dispiace|извините|抱歉|对不起|申し訳|죄송|آسف",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from one reply.

    Attributes:
        category: Category code, or None when there is no single one.
        reason: Why there is none, or None when there is an answer.
        detail: One phrase for people; empty for a plain answer.
        distribution: Readout "logprob": probabilities over the category codes, summing to one.
        mass: Readout "logprob": probability the legal labels held before renormalising.
    """

    category: int | None = None
    reason: NonResponse | None = None
    detail: str = ""
    distribution: tuple[float, ...] | None = None
    mass: float | None = None


def parse_answer(
    text: str | bytes | None,
    labels: Sequence[str],
    values: Sequence[int],
    *,
    options: Sequence[str] = (),
    finish_reason: str | None = None,
    refusal: str | None = None,
) -> Reading:
    """Read a sampled reply strictly.

    Args:
        text: The reply; bytes are decoded as UTF-8, None is empty.
        labels: Legal labels as shown.
        values: Category code of each label.
        options: Text shown beside each label, in the same order, or empty when unknown.
        finish_reason: The server's word for why it stopped.
        refusal: The server's refusal field.

    Returns:
        A category, or the reason why there is none. Never raises on text.
    """
    if finish_reason == "content_filter":
        return Reading(reason=NonResponse.provider_filter, detail="stopped by the provider's content filter")
    if refusal:
        return Reading(reason=NonResponse.refusal, detail="the server's refusal field is set")
    cut = finish_reason in _CUT_SHORT
    raw = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text or ""
    if len(raw) > _LONGEST:
        return Reading(reason=NonResponse.unparsable, detail=f"{len(raw)} characters long")
    shown = visible(plain(raw))
    if not shown:
        if cut:
            return Reading(reason=NonResponse.truncated, detail="stopped at the token limit before an answer")
        if shown is None:
            return Reading(reason=NonResponse.unparsable, detail="the think block never ends")
        return Reading(reason=NonResponse.empty, detail="no text")
    vocabulary = _vocabulary(tuple(labels), tuple(options))
    found, detail = _cut_answer(shown, vocabulary) if cut else _answer(shown, vocabulary)
    if found is not None and found >= 0:
        return Reading(category=int(values[found]))
    if found == _OFF_SCALE:
        return Reading(reason=NonResponse.off_scale, detail=detail)
    if cut:
        return Reading(reason=NonResponse.truncated, detail="stopped at the token limit before a complete answer")
    if _REFUSALS.search(shown):
        return Reading(reason=NonResponse.refusal, detail="worded as a refusal")
    return Reading(reason=NonResponse.unparsable, detail=detail)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(_DECORATION + ".")


class _Vocabulary:
    """The labels of one prompt, ready for matching."""

    def __init__(self, labels: Sequence[str], options: Sequence[str]) -> None:
        self.labels = [plain(label).strip() for label in labels]
        folded = [label.casefold() for label in self.labels]
        self.by_name = {label: index for index, label in enumerate(self.labels)}
        if len(set(folded)) == len(folded):
            self.by_name |= {label: index for index, label in enumerate(folded)}
            self.by_name |= {label.upper(): index for index, label in enumerate(self.labels)}
        self.numeric = all(label.isascii() and label.isdigit() for label in self.labels)
        self.letters = all(len(label) == 1 and label.isalpha() for label in self.labels)
        self.largest = max((int(label) for label in self.labels if self.numeric), default=0)
        self.options = [_folded(plain(option)) for option in options] if len(options) == len(labels) else []
        names = sorted(self.by_name, key=len, reverse=True)
        # Atomic, so that "4.5" is never read as "4".
        self.token = f"(?>{_NUMBER})" if self.numeric else "|".join(re.escape(name) for name in names)
        self.exact = "|".join(re.escape(label) for label in sorted(self.labels, key=len, reverse=True))

    def read(self, core: str) -> int | None:
        """Index of the label that `core` is, `_OFF_SCALE` for one that is not offered, None when it is no label."""
        index = self.by_name.get(core, self.by_name.get(core.casefold()))
        if index is not None:
            return index
        if self.numeric:
            if len(core) == 1 and unicodedata.category(core) == "Lo" and (number := unicodedata.numeric(core, 0.0)):
                core = f"{number:g}"
            if re.fullmatch(_NUMBER, core):
                whole = re.fullmatch(r"\+?(\d{1,9})(?:\.0+)?", core)
                return self.by_name.get(str(int(whole[1])), _OFF_SCALE) if whole else _OFF_SCALE
        if self.letters and len(core) == 1 and core.isascii() and core.isalpha():
            return _OFF_SCALE
        return None

    def option(self, text: str) -> int | None:
        """Index of the only option with this text."""
        folded = _folded(text)
        hits = [index for index, option in enumerate(self.options) if option and option == folded]
        return hits[0] if len(hits) == 1 else None


@lru_cache(maxsize=1024)
def _vocabulary(labels: tuple[str, ...], options: tuple[str, ...]) -> _Vocabulary:
    return _Vocabulary(labels, options)


def _core(text: str) -> str:
    """The text without bullets, quotes, emphasis and closing punctuation; a leading minus or point stays."""
    stripped = _BULLET.sub("", text).strip(_DECORATION)
    return stripped.rstrip(_DECORATION + ".")


def _bare(text: str, vocabulary: _Vocabulary) -> int | None:
    core = _core(text)
    gloss = re.fullmatch(r"(\S{1,20})\s?\(([^()\d\n]{1,80})\)?", text.strip(" *_`\"'."))
    if gloss:
        other = vocabulary.option(gloss[2])
        if other is not None and other != vocabulary.read(_core(gloss[1])):
            return None
        core = _core(gloss[1])
    ratio = re.fullmatch(rf"({_NUMBER})\s*(?:/|out of)\s*(\d{{1,9}})", core, re.IGNORECASE)
    if ratio and vocabulary.numeric and int(ratio[2]) == vocabulary.largest:
        core = ratio[1]
    return vocabulary.read(re.sub(rf"^{_NOUN}\s+", "", core, flags=re.IGNORECASE))


def _cut_answer(text: str, vocabulary: _Vocabulary) -> tuple[int | None, str]:
    """From a reply that hit the token limit: only a first line that is complete, or cannot go on to another label."""
    first, *rest = text.split("\n", 1)
    found = _bare(first, vocabulary)
    if found is None or found < 0:
        return None, ""
    label = vocabulary.labels[found]
    grows = any(other != label and other.startswith(label) for other in vocabulary.labels)
    return (None, "") if grows and not rest and _core(first) == first.strip() else (found, "")


def _answer(text: str, vocabulary: _Vocabulary) -> tuple[int | None, str]:
    text = _TAG.sub(lambda tag: "\n" if tag[1] else "\nAnswer: ", _LATEX.sub(r" \1 ", text)).strip()
    found = _bare(text, vocabulary)
    if found is None:
        found = vocabulary.option(text)
    if found is not None:
        return found, f"answered {_core(text)[:40]!r}"
    lines, listed = _without_echo(text, vocabulary)
    if not lines:
        return None, "only lists the options" if listed else "no answer stated"
    candidates, final, ambiguous = _cued("\n".join(lines), vocabulary)
    if final:
        candidates = final
    else:
        candidates |= _bare_lines(lines, vocabulary) | _leading(lines[0], vocabulary)
    if ambiguous or len(candidates) > 1:
        return None, "several answers"
    if not candidates:
        return None, "no answer stated"
    return candidates.pop(), "the stated answer is not one of the labels"


def _without_echo(text: str, vocabulary: _Vocabulary) -> tuple[list[str], bool]:
    """The lines, less those that list two or more of the options (an echoed scale, rubric or numbered list)."""
    led = re.compile(rf"\W{{0,8}}({vocabulary.exact})[*_`\"'\]]{{0,4}}\s?[).:=\-–—]\s*\S")
    lines = [line for line in text.split("\n") if line.strip()]
    matches = [led.match(line) for line in lines]
    listed = len({match[1] for match in matches if match}) > 1
    return [line for line, match in zip(lines, matches, strict=True) if not (listed and match)], listed


def _cued(text: str, vocabulary: _Vocabulary) -> tuple[set[int], set[int], bool]:
    """Answers introduced as such, those introduced as final, and whether one was a range or a choice of several."""
    every: set[int] = set()
    final: set[int] = set()
    ambiguous = False
    for cue in _CUES:
        for match in re.finditer(rf"{cue}(?P<label>{vocabulary.token})(?!\w)", text, re.IGNORECASE):
            tail = text[match.end() : match.end() + 40]
            token = match["label"]
            if _TAIL.match(tail) or not _ends(token, tail):
                continue
            ratio = re.match(r"\s*(?:/|out\s+of)\s*(\d{1,9})", tail, re.IGNORECASE)
            if ratio and vocabulary.numeric:
                ambiguous |= int(ratio[1]) != vocabulary.largest
            elif re.match(
                rf"\W*(?:[-–—~/,&+|]|\bor\b|\band\b|\bto\b|\bbut\b)\W*(?:{vocabulary.exact}|\d+)(?!\w)", tail
            ):
                ambiguous = True
            found = vocabulary.read(token)
            if found is not None:
                every.add(found)
                if match.groupdict().get("final"):
                    final.add(found)
    return every, final, ambiguous


def _ends(token: str, tail: str) -> bool:
    """Whether the label stands alone; "a" and "I" are also words, so they need punctuation or the line's end."""
    if token.casefold() not in _WORDS:
        return True
    return re.match(r"\s*(?:$|\n|[.,;:)\]}\"'”’*_`(]|[-–—]\s)", tail) is not None


def _bare_lines(lines: Sequence[str], vocabulary: _Vocabulary) -> set[int]:
    """Labels on lines of their own, provided the first or the last line is one."""
    read = [_bare(line, vocabulary) for line in lines]
    return {found for found in read if found is not None} if read[0] is not None or read[-1] is not None else set()


def _leading(line: str, vocabulary: _Vocabulary) -> set[int]:
    """The label that opens the reply, as in "B) Agree" or "4: because …"."""
    match = re.match(
        rf"[*_`\"'(\[#\s]{{0,8}}(?P<label>{vocabulary.exact})[*_`\"'\]\s]{{0,4}}(?P<mark>[).:]|[-–—](?=\s))"
        r"(?P<gap>[*_`\"'\]\s]*)(?P<rest>\S.*)",
        line,
    )
    if match is None:
        return set()
    index, rest = vocabulary.by_name[match["label"]], match["rest"]
    if vocabulary.options:
        folded, own = _folded(rest), vocabulary.options[index]
        if own and (folded == own or folded.startswith((f"{own}.", f"{own},", f"{own}:", f"{own};", f"{own} "))):
            return {index}
        other = vocabulary.option(rest)
        if other is not None:
            return {index, other}
    opens_a_list = match["mark"] in ")." and match["label"].casefold() in _LIST_STARTS
    if opens_a_list or not match["gap"]:
        return set()
    mentioned = set(re.findall(rf"(?<!\w)(?:{vocabulary.exact}|\d+)(?!\w)", rest)) - {match["label"]}
    return {index, _OFF_SCALE} if any(name.casefold() not in _WORDS for name in mentioned) else {index}
