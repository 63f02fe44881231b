"""Tests of the Rasch family that rest on conditional likelihoods: are items the same for all, and of one dimension?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import chi2

from psymetric.data.coding import Label
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError, DesignError, IdentificationError
from psymetric.estimation.conditional_ml import ConditionalML
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import fit as fit_model

__all__ = ["LikelihoodRatioTest", "andersen_test", "martin_loef_test"]

Array = NDArray[np.float64]
Split = Literal["median", "mean"]

_LOW, _HIGH = "low", "high"


@final
@dataclass(frozen=True)
class LikelihoodRatioTest:
    """A likelihood-ratio test of one model for all against one for each group.

    Attributes:
        statistic: Twice the gain in log-likelihood.
        df: Degrees of freedom: parameters that the groups have beyond the whole.
        p: Probability of a larger statistic where the model holds, from the chi-square distribution.
        groups: One row per group: group, n_subjects, n_responses, log_likelihood (conditional), n_parameters.
        estimates: One row per facet level and group: facet, level, group, estimate, se (logits).
        notes: What a reader of the numbers must know.
    """

    statistic: float
    df: int
    p: float
    groups: pd.DataFrame
    estimates: pd.DataFrame
    notes: tuple[str, ...] = ()

    def levels(self) -> pd.DataFrame:
        """Which levels differ between the groups: a Wald test for each level that two groups or more have.

        Returns:
            Columns facet, level, statistic (Σ w (d − d̄)², w = 1/SE²; for two groups the squared z of Fischer &
            Scheiblechner), df, p, p_holm.

        Source: Fischer & Scheiblechner (1970), Psychologische Beiträge 12, 23-51; Holm (1979), Scandinavian Journal
        of Statistics 6, 65-70.
        """
        known = self.estimates[self.estimates["se"] > 0]
        weight = 1 / known["se"] ** 2
        keys = [known["facet"], known["level"]]
        sums = pd.DataFrame({"w": weight, "wd": weight * known["estimate"], "wd2": weight * known["estimate"] ** 2})
        total = sums.groupby(keys, sort=False).sum().assign(df=known.groupby(keys, sort=False).size() - 1)
        total = total[total["df"] > 0]
        statistic = np.maximum(total["wd2"] - total["wd"] ** 2 / total["w"], 0.0)
        p = np.asarray(chi2.sf(statistic, total["df"]))
        frame = pd.DataFrame({"statistic": statistic, "df": total["df"], "p": p, "p_holm": adjusted(p)})
        return frame.reset_index()

    def __str__(self) -> str:
        text = f"likelihood ratio {self.statistic:.3f}, df {self.df}, p {self.p:.4f}, {len(self.groups)} groups"
        return "\n".join([text, *(f"  note: {note}" for note in self.notes)])


def andersen_test(
    fit: Fit, table: ResponseTable, *, split: Split | Mapping[Label, Label] = "median"
) -> LikelihoodRatioTest:
    """Whether items (and judges, and steps) are the same for different subjects: Andersen's likelihood-ratio test.

    The model is fitted by conditional maximum likelihood to all subjects and to each group of them. Under the model the
    groups share all parameters, however their abilities differ. A split by score looks for unequal discrimination and
    guessing; one by an outside property of the subjects, for items that favour some of them.

    Args:
        fit: A fit of the model to test. One by `ConditionalML` on this table saves a fit.
        table: The responses.
        split: "median" or "mean": subjects up to the median or mean of the shares of their attainable scores, against
            the others; or the group of every subject.

    Returns:
        The test; `levels()` says which items differ. Missing responses are left out (ignorable), never scored; with
        complete data a split by share is one by raw score. Subjects with an extreme sum inform neither side, but count
        in the median and mean.

    Raises:
        DataError: One group only, or subjects without a group.
        DesignError, IdentificationError: The model has no conditional likelihood, or the data of a group do not
            determine it, such as an item that all of them solved; the message begins with the group.

    Source: Andersen (1973), Psychometrika 38, 123-140, eq. 12.
    """
    who = "andersen_test"
    whole = _conditional(fit, table)
    groups = _groups(who, "subject", table, split, _subject_shares)
    parts = {group: table.select("subject", labels) for group, labels in groups.items()}
    fits = _fit_parts(who, fit, parts)
    statistic = 2 * (sum(_value(part) for part in fits.values()) - _value(whole))
    df = sum(part.n_parameters for part in fits.values()) - whole.n_parameters
    return _labelled(statistic, df, fits, parts, _lost_categories(whole, fits))


def martin_loef_test(
    fit: Fit, table: ResponseTable, *, split: Split | Mapping[Label, Label] = "median", facet: str = "item"
) -> LikelihoodRatioTest:
    """Whether groups of items measure the same: the Martin-Löf test.

    Against one scale it sets one scale per group, with any joint distribution of the groups' scores. Cells of the table
    of joint scores are many, and mostly empty unless subjects are: where they outnumber the subjects the statistic
    falls short of its chi-square distribution and the test hardly ever rejects.

    Args:
        fit: A fit of the model to test. One by `ConditionalML` on this table saves a fit.
        table: The responses.
        split: "median" or "mean": levels with a mean score up to the median or mean of these, against the others; or
            the group of every level.
        facet: The facet whose levels are split.

    Returns:
        The test. Subjects that lack a response are left out, since their joint scores do not compare; a note counts
        them. With common steps (a rating scale) each group has its own, so that unequal steps count against one scale.

    Raises:
        DataError: One group only, a group of one level, levels without a group, or no subject with every response.
        DesignError, IdentificationError: As for `andersen_test`.

    Source: Martin-Löf (1973), Statistiska Modeller; Glas & Verhelst (1995), in Fischer & Molenaar, Rasch Models,
    eq. 5.38.
    """
    who = "martin_loef_test"
    if facet not in fit.model.facets:
        raise DataError(f"{who}: {type(fit.model).__name__} has no facet {facet!r}: it has {list(fit.model.facets)}")
    complete, notes = _complete(who, table, fit.model.facets)
    groups = _groups(who, facet, complete, split, _level_means)
    if short := [group for group, labels in groups.items() if len(labels) < 2]:
        raise DataError(f"{who}: group {short[0]!r} has one level of {facet!r}; a scale needs two or more")
    whole = _conditional(fit, complete)
    parts = {group: complete.select(facet, labels) for group, labels in groups.items()}
    fits = _fit_parts(who, fit, parts)
    scores, sizes = _joint_scores(complete, facet, groups)
    n_sums = int(np.sum(sizes - 1)) + 1
    gain = sum(_value(part) for part in fits.values()) - _value(whole)
    joint = np.asarray(np.ravel_multi_index(tuple(scores), tuple(sizes)), np.int64)
    gain += _entropy(joint) - _entropy(scores.sum(axis=0))
    df = int(np.prod(sizes)) - n_sums + sum(part.n_parameters for part in fits.values()) - whole.n_parameters
    n_subjects = scores.shape[1]
    if np.prod(sizes) > n_subjects:
        notes += (
            f"{int(np.prod(sizes)):,} joint scores for {n_subjects:,} subjects: the chi-square distribution is no "
            "guide to p, which is too high",
        )
    return _labelled(2 * gain, df, fits, parts, notes + _lost_categories(whole, fits))


def _conditional(fit: Fit, table: ResponseTable) -> Fit:
    """The fit itself where it will do, else the same model by conditional maximum likelihood."""
    if fit.engine == ConditionalML.__name__ and fit.table_hash == table.hash:
        return fit
    return fit_model(fit.model, table, engine=ConditionalML())


def _fit_parts(who: str, fit: Fit, parts: Mapping[Label, ResponseTable]) -> dict[Label, Fit]:
    fits: dict[Label, Fit] = {}
    for group, part in parts.items():
        try:
            fits[group] = fit_model(fit.model, part, engine=ConditionalML())
        except (DataError, DesignError, IdentificationError) as error:
            raise type(error)(f"{who}: group {group!r}: {error}") from error
    return fits


def _value(fit: Fit) -> float:
    return float(fit.log_likelihood or 0.0)


def _groups(
    who: str,
    facet: str,
    table: ResponseTable,
    split: Split | Mapping[Label, Label],
    measure: Callable[[ResponseTable, str], Array],
) -> dict[Label, list[Label]]:
    """Labels of a facet by group, in the order of the levels."""
    labels = table.levels[facet]
    if isinstance(split, Mapping):
        if unknown := [label for label in labels if label not in split]:
            raise DataError(
                f"{who}: {len(unknown)} of {len(labels)} levels of {facet!r} have no group in split, the first "
                f"{unknown[0]!r}: name one for each, or leave them out with table.select"
            )
        owner = [split[label] for label in labels]
    elif split in ("median", "mean"):
        values = measure(table, facet)
        # Shares are ratios of whole numbers: what differs by rounding alone is equal.
        cut = float(np.median(values) if split == "median" else np.mean(values)) + 1e-12
        owner = [_LOW if value <= cut else _HIGH for value in values.tolist()]
    else:
        raise DataError(f'{who}: split={split!r} is not "median", "mean" or a mapping of labels to groups')
    found: dict[Label, list[Label]] = {} if isinstance(split, Mapping) else {_LOW: [], _HIGH: []}
    for label, group in zip(labels, owner, strict=True):
        found.setdefault(group, []).append(label)
    if sum(map(bool, found.values())) < 2:
        raise DataError(f"{who}: all {len(labels)} levels of {facet!r} are in one group; a comparison needs two")
    return found


def _subject_shares(table: ResponseTable, facet: str) -> Array:
    """Share of the attainable score that each subject reached, shape (subjects,)."""
    return _level_means(table, facet) / max(table.n_categories - 1, 1)


def _level_means(table: ResponseTable, facet: str) -> Array:
    """Mean score of each level, NaN without weight."""
    code, n_levels = table.codes[facet], len(table.levels[facet])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(code, table.weight * table.response, n_levels) / np.bincount(code, table.weight, n_levels)
    return np.nan_to_num(means)


def _complete(who: str, table: ResponseTable, facets: tuple[str, ...]) -> tuple[ResponseTable, tuple[str, ...]]:
    """The subjects who answered every combination of levels once, and a note on the others."""
    codes = np.stack([table.codes[facet] for facet in facets])
    sizes = tuple(len(table.levels[facet]) for facet in facets)
    used, cell = np.unique(np.ravel_multi_index(tuple(codes), sizes), return_inverse=True)
    subject, n_subjects = table.codes["subject"].astype(np.int64), len(table.levels["subject"])
    pairs = np.unique(subject * len(used) + cell.reshape(-1))
    distinct = np.bincount(pairs // len(used), minlength=n_subjects)
    weight = np.bincount(subject, table.weight, n_subjects)
    whole = (distinct == len(used)) & (weight == len(used))
    if not whole.any():
        raise DataError(
            f"{who}: no subject has exactly one response of weight 1 to each of the {len(used)} combinations of "
            f"{list(facets)}: select levels that all were asked"
        )
    if whole.all():
        return table, ()
    note = (
        f"{int(np.count_nonzero(~whole))} of {n_subjects} subjects lack a response, or have several, and are left out"
    )
    labels = [label for label, kept in zip(table.levels["subject"], whole.tolist(), strict=True) if kept]
    return table.select("subject", labels), (note,)


def _joint_scores(
    table: ResponseTable, facet: str, groups: Mapping[Label, list[Label]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Score of every subject in every group, shape (groups, subjects), and how many scores each group can give."""
    place = {label: number for number, labels in enumerate(groups.values()) for label in labels}
    owner = np.array([place[label] for label in table.levels[facet]])[table.codes[facet]]
    n_subjects = len(table.levels["subject"])
    flat = np.bincount(owner * n_subjects + table.codes["subject"], table.response, len(groups) * n_subjects)
    n_responses = np.bincount(owner, minlength=len(groups)) // n_subjects
    sizes = n_responses * (table.n_categories - 1) + 1
    return np.rint(flat).astype(np.int64).reshape(len(groups), n_subjects), sizes.astype(np.int64)


def _entropy(score: NDArray[np.int64]) -> float:
    """Multinomial log-likelihood of a distribution of scores: Σ n log(n/N)."""
    count = np.unique(score, return_counts=True)[1]
    return float(np.sum(xlogy(count, count / count.sum())))


def _lost_categories(whole: Fit, fits: Mapping[Label, Fit]) -> tuple[str, ...]:
    step = whole.parameters.get("step")
    if step is None or step.shape[0] == 1:
        return ()
    lost = [str(group) for group, part in fits.items() if part.estimates("step")["estimate"].isna().any()]
    already = whole.estimates("step")["estimate"].isna().any()
    if not lost or already:
        return ()
    return (f"categories that group {', '.join(lost)} never used have no parameter there and are not counted in df",)


def _labelled(
    statistic: float,
    df: int,
    fits: Mapping[Label, Fit],
    parts: Mapping[Label, ResponseTable],
    notes: tuple[str, ...],
) -> LikelihoodRatioTest:
    groups = pd.DataFrame(
        {
            "group": list(fits),
            "n_subjects": [len(part.levels["subject"]) for part in parts.values()],
            "n_responses": [fit.n_responses for fit in fits.values()],
            "log_likelihood": [_value(fit) for fit in fits.values()],
            "n_parameters": [fit.n_parameters for fit in fits.values()],
        }
    )
    frames = [
        fit.estimates(facet)[["level", "estimate", "se"]].assign(facet=facet, group=group)
        for group, fit in fits.items()
        for facet in fit.model.facets
    ]
    estimates = pd.concat(frames, ignore_index=True)[["facet", "level", "group", "estimate", "se"]]
    return LikelihoodRatioTest(statistic, df, float(chi2.sf(statistic, df)), groups, estimates, notes)
