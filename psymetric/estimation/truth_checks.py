"""What labels cannot tell of judges and truths: refused before a fit, or said beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from psymetric.data.messages import listing
from psymetric.errors import IdentificationError
from psymetric.models.base import Table
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.truth import PREVALENCE, AbstractTruthModel, Labels

__all__ = ["MEND", "agreement_beyond_chance", "check_identified", "truth_notes"]

Array = NDArray[np.float64]

_RARE = 1e-3
"""Chance of never using a category, were a judge like the others, under which its absence is told."""
_COPIED = 10
"""Labels from which judges that never differ are taken for copies of each other."""

MEND = (
    "Give more judges the same subjects (three labels of each, at the least), gold labels of some of them (gold=...), "
    "or judges a prior: engine=MAP() or NUTS()."
)


def check_identified(model: AbstractTruthModel, table: Table) -> None:
    """Raise where maximum likelihood cannot tell truths from judges, whatever the labels are.

    Raises:
        IdentificationError: A category that nobody used; one label for each subject, or two judges, without gold.
    """
    who, labels = type(model).__name__, model.labels(table)
    used = np.bincount(table.response, table.weight, len(table.categories)) > 0
    if not used.all():
        unused = [label for label, is_used in zip(table.categories, used.tolist(), strict=True) if not is_used]
        raise IdentificationError(
            f"{who}: nobody used {len(unused)} of {len(used)} categories, the first {unused[0]!r}: nothing determines "
            "how judges label it. Leave such categories out (table.without_unused_categories()), or use MAP() or "
            "NUTS(), whose priors decide what the labels do not"
        )
    if (labels.known >= 0).any():
        return
    counted = labels.weight > 0
    subject, judge = labels.codes["subject"][counted], labels.codes[model.over][counted]
    most = int(np.bincount(subject).max(initial=0))
    if most < 2:
        raise IdentificationError(
            f"{who}: no subject has two labels, so that nothing tells the errors of a {model.over} from the truth. "
            f"{MEND}"
        )
    n_judges = len(np.unique(judge))
    if most == 2 and n_judges <= 2 and model.groups is None:
        raise IdentificationError(
            f"{who}: two labels of each subject by {n_judges} levels of {model.over!r} fit many pairs of confusion "
            f"matrices and prevalences alike. {MEND}"
        )


def truth_notes(
    model: AbstractTruthModel, table: Table, parameters: Mapping[str, Array], *, penalised: bool
) -> Iterator[str]:
    """What a reader must know of truths that nobody saw: who named them, and judges that deserve a look."""
    labels, levels = model.labels(table), model.levels(table)
    n_gold, n_subjects = int((labels.known >= 0).sum()), len(labels.known)
    judges = levels[model.over]
    if not n_gold:
        how = (
            "by the priors, under which judges are better than chance"
            if penalised
            else "so that most labels agree with them"
        )
        yield f"no gold labels: the likelihood is the same under every order of the truths, which are named {how}"
    yield from _alone(model, labels)
    if n_gold and (unseen := _without(labels.known[labels.known >= 0], table.categories)):
        yield f"no gold label of {listing(unseen)} among those of {n_gold:,} of {n_subjects:,} subjects"
    if unused := _without(table.response[table.weight > 0], table.categories):
        yield f"nobody used {listing(unused)}: what is said of such truths and labels is the priors' alone"
    yield from _odd_judges(labels, labels.codes[model.over], judges, table.categories, model.over)
    if CONFUSION in parameters:
        gain = agreement_beyond_chance(parameters[CONFUSION], parameters[PREVALENCE])
        if (worse := np.flatnonzero(gain < 0)).size:
            yield (
                f"{len(worse)} of {len(judges)} levels of {model.over!r} agree with the truth less often than chance "
                f"would: {listing(judges[place] for place in worse.tolist())}. Look for exchanged labels, or leave "
                "them out"
            )
    if n_gold:
        yield from _against_gold(labels, len(table.categories))


def agreement_beyond_chance(confusion: Array, prevalence: Array) -> Array:
    """How often each judge is right, less how often its labels would be right of other subjects, shape (judges,).

    Args:
        confusion: Shape (judges, truths, categories).
        prevalence: Shape (truths,), or (groups, truths), whose mean counts.
    """
    share = prevalence.reshape(-1, prevalence.shape[-1]).mean(axis=0)
    right = np.einsum("m,jmm->j", share, confusion)
    return right - np.einsum("k,jk->j", share, np.einsum("m,jmk->jk", share, confusion))


def _without(codes: NDArray[np.int32], categories: tuple[object, ...]) -> list[object]:
    used = np.bincount(codes, minlength=len(categories)) > 0
    return [label for label, is_used in zip(categories, used.tolist(), strict=True) if not is_used]


def _alone(model: AbstractTruthModel, labels: Labels) -> Iterator[str]:
    """Say where no subject of unknown truth has labels that could be laid beside each other."""
    latent = (labels.weight > 0) & (labels.known[labels.codes["subject"]] < 0)
    most = int(np.bincount(labels.codes["subject"][latent]).max(initial=0))
    if (labels.known < 0).any() and most < 2 and not (labels.known >= 0).any():
        yield (
            f"no subject has two labels and none has gold: the labels tell nothing of the errors of a {model.over}, so "
            f"that prevalence, errors and truths are what the priors say of them, however many subjects there are"
        )


def _odd_judges(
    labels: Labels, judge: NDArray[np.int32], judges: tuple[object, ...], categories: tuple[object, ...], over: str
) -> Iterator[str]:
    """Judges that never use a category as often as others do, and judges that are copies of each other."""
    cell = judge.astype(np.int64) * len(categories) + labels.response
    counts = np.bincount(cell, labels.weight, len(judges) * len(categories)).reshape(len(judges), -1)
    total = counts.sum(axis=1, keepdims=True)
    others = (counts.sum(axis=0) - counts) / np.maximum(total.sum() - total, 1)
    never = (counts == 0) & ((1 - others) ** total < _RARE)
    if never.any():
        who, what = np.argwhere(never)[0].tolist()
        yield (
            f"{int(never.any(axis=1).sum())} of {len(judges)} levels of {over!r} never used a category that others use "
            f"often, the first {judges[who]!r} ({categories[what]!r}): see whether all were given the same labels"
        )
    # Equal sets of subjects and labels have equal sums of random numbers.
    draws = np.random.default_rng(0).standard_normal((len(labels.known), len(categories)))
    seen = np.bincount(judge, labels.weight * draws[labels.codes["subject"], labels.response], len(judges))
    enough = np.flatnonzero(total[:, 0] >= _COPIED)
    # To rounding, as rows may come in any order.
    _, first, number = np.unique(seen[enough].round(9), return_index=True, return_inverse=True)
    if (twins := np.flatnonzero(first[number.reshape(-1)] != np.arange(len(enough)))).size:
        copy, original = enough[twins[0]], enough[first[number.reshape(-1)[twins[0]]]]
        yield (
            f"{len(twins)} of {len(judges)} levels of {over!r} gave the very labels of another, the first "
            f"{judges[copy]!r} those of {judges[original]!r} ({total[copy, 0]:.0f} labels): a copy counts twice; leave "
            "it out"
        )


def _against_gold(labels: Labels, n_categories: int) -> Iterator[str]:
    """Say where gold and the labels of the same subjects agree less often than chance."""
    known = labels.known[labels.codes["subject"]]
    both, weight = known >= 0, labels.weight
    if not weight[both].sum():
        yield "no subject with a gold label has any other: gold tells nothing of the errors of judges"
        return
    cell = known[both].astype(np.int64) * n_categories + labels.response[both]
    table = np.bincount(cell, weight[both], n_categories**2).reshape(n_categories, -1)
    table /= table.sum()
    if np.trace(table) <= float(table.sum(axis=1) @ table.sum(axis=0)):
        yield (
            f"gold contradicts the judges: {100 * np.trace(table):.0f}% of their labels of gold subjects agree with "
            "it, no more than chance. See whether gold and judges mean the same by a category"
        )
