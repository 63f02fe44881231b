"""From a reply to a reading, by the readout the plan asked for and no other.

"sampled" goes to the strict parser. "logprob" reads the distribution of the first answer token: alternatives that are a
legal label, with or without leading space, are summed and renormalised over the labels, and the probability they held
before that is kept as `mass`. There is no silent fall-back from one to the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from psymetric.administration._visible import plain
from psymetric.administration.parsing import Reading, parse_answer
from psymetric.data.nonresponse import NonResponse

if TYPE_CHECKING:
    from psymetric.providers.base import Prompt, Reply

__all__ = ["options_shown", "read_reply"]

LEAST_MASS: Final = 0.1
"""Below this, the labels hold so little of the first token that renormalising would report noise: off_scale."""

_SHARED: Final = 1e-3
_SPACE_MARKS: Final = str.maketrans("▁Ġ", "  ")


def read_reply(prompt: Prompt, reply: Reply) -> Reading:
    """Read a reply to a prompt.

    Returns:
        For "sampled" a category, for "logprob" a distribution over the categories 0..K-1; or the reason for neither.
    """
    if prompt.readout == "sampled" or reply.refusal or reply.finish_reason == "content_filter":
        return _parsed(prompt, reply)
    if reply.first_token_logprobs is None:
        if not reply.text.strip():
            return _parsed(prompt, reply)
        detail = "the server returned no log-probabilities; use readout: sampled for this endpoint"
        return Reading(reason=NonResponse.no_logprobs, detail=detail)
    return _distribution(prompt, reply)


def options_shown(prompt: Prompt) -> tuple[str, ...]:
    """The text beside each label where the last message lists options as "<label>) <text>", else nothing.

    The last such block counts: an earlier one may be part of the text that is judged.
    """
    if not prompt.messages or not prompt.labels:
        return ()
    lines = [line.strip() for line in prompt.messages[-1][1].splitlines() if line.strip()]
    heads = [f"{label})" for label in prompt.labels]
    for start in range(len(lines) - len(heads), -1, -1):
        block = lines[start : start + len(heads)]
        if all(line.startswith(head) for line, head in zip(block, heads, strict=True)):
            return tuple(line[len(head) :].strip() for line, head in zip(block, heads, strict=True))
    return ()


def _parsed(prompt: Prompt, reply: Reply) -> Reading:
    return parse_answer(
        reply.text,
        prompt.labels,
        prompt.values,
        options=options_shown(prompt),
        finish_reason=reply.finish_reason,
        refusal=reply.refusal,
    )


def _distribution(prompt: Prompt, reply: Reply) -> Reading:
    labels = [plain(label).strip() for label in prompt.labels]
    held = dict.fromkeys(labels, 0.0)
    seen: set[str] = set()
    for token, logprob in reply.first_token_logprobs or ():
        name = plain(token.translate(_SPACE_MARKS)).strip()
        if name in held:
            held[name] += math.exp(logprob)
            seen.add(name)
    mass = sum(held.values())
    if mass < LEAST_MASS:
        parsed = _parsed(prompt, reply)
        if parsed.reason is NonResponse.refusal:
            return parsed
        detail = f"the labels hold {mass:.3g} of the first token's probability"
        return Reading(reason=NonResponse.off_scale, detail=detail, mass=mass)
    for label in labels:
        longer = [other for other in labels if other != label and other.startswith(label) and other not in seen]
        if longer and held[label] > _SHARED * mass:
            # "1" may be the beginning of "10": which, the first token alone does not tell.
            detail = f"labels {label!r} and {longer[0]!r} may share a first token; use letters with readout: logprob"
            return Reading(reason=NonResponse.unparsable, detail=detail, mass=mass)
    probabilities = [0.0] * (max(prompt.values) + 1)
    for label, value in zip(labels, prompt.values, strict=True):
        probabilities[value] += held[label] / mass
    return Reading(distribution=tuple(probabilities), mass=min(mass, 1.0))
