"""What a comparison of groups rests on: who is compared with whom, at which levels, and what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.differential_model import Cells, has_steps
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.space import has_ability

__all__ = ["NAMED", "Comparison", "check_groups", "check_model", "check_steps", "compare", "reference_group"]

NAMED = "named as an anchor"
_LEAST_SUBJECTS, _FEW_SUBJECTS = 5, 100


@final
@dataclass(frozen=True)
class Comparison:
    """The cells that can be compared, and the others with the reason.

    Attributes:
        facet: Whose levels.
        categories: Labels of the categories, low to high.
        levels: Their labels.
        groups: Labels of the groups.
        reference: The one the others are compared with.
        cells: Level and focal group of every difference that can be estimated.
        excluded: (level, group) of those that cannot, with the reason.
        n: Sum of weights, shape (levels, groups).
        n_subjects: By group, shape (groups,).
        n_possible: By group, levels that may be anchors, shape (groups,).
        weight: Of the rows, shape (rows,): zero where a level is all lowest or all highest in a group, since a
            difference without bound leaves such responses certain, and an anchor they would spoil.
        notes: What a reader must know.
    """

    facet: str
    categories: tuple[Label, ...]
    levels: tuple[Label, ...]
    groups: tuple[Label, ...]
    reference: Label
    cells: Cells
    excluded: tuple[tuple[int, int, str], ...]
    n: NDArray[np.float64]
    n_subjects: NDArray[np.int64]
    n_possible: NDArray[np.int64]
    weight: NDArray[np.float64]
    notes: tuple[str, ...]


def check_steps(model: AbstractMeasurementModel, table: ResponseTable, method: str, *, who: str) -> None:
    """Raise where there are no steps that could move apart, or no test of them."""
    if method == "posterior":
        raise DataError(f'{who}: steps are tested by method="lr" or "wald": {method!r} has shifts and slopes only')
    if not has_steps(model):
        raise DesignError(
            f"{who}: {type(model).__name__} has no steps between neighbouring categories that could shift: use "
            "ManyFacetRasch or GeneralizedPartialCredit"
        )
    if len(table.categories) < 3:
        raise DataError(f'{who}: two categories have one step, which is the location: use kind="uniform"')


def check_model(model: AbstractMeasurementModel, facet: str, group: str, method: str, *, who: str) -> None:
    """Raise where the model has nothing that could differ, or no likelihood to test it by."""
    if not isinstance(model, AbstractMeasurementModel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"{who}: the model is a {type(model).__name__}; pass one such as Rasch(), or a fit of it")
    name = type(model).__name__
    if model.table_kind != "responses" or not has_ability(model):
        raise DataError(f"{who}: {name} has no subjects who could be compared: use a response model")
    if facet not in model.facets:
        raise DataError(f"{who}: {name} has no facet {facet!r}; {nearest(facet, model.facets)}")
    if all(spec.name != facet or not spec.is_location for spec in model.parameters):
        raise DesignError(f"{who}: {name} has no location for each {facet}, which could differ between groups")
    if columns := [name for name in model.population.columns if name != group]:
        raise DesignError(
            f"{who}: the model's population reads {listing(columns)}; groups have populations of their own here: leave "
            "population= out"
        )
    if method == "posterior":
        return
    if random := [spec.name for spec in model.parameters if spec.random and spec.name != ABILITY]:
        raise DesignError(f'{who}: facet {random[0]!r} is random: declare it fixed, or use method="posterior"')
    if model.needs_prior:
        raise DesignError(f'{who}: {name} needs a prior: use method="posterior", or a model without asymptotes')


def check_groups(table: ResponseTable, group: str, used: Sequence[str], *, who: str) -> NDArray[np.int64]:
    """Group of every subject, shape (subjects,).

    Raises:
        DataError: An unknown facet or one that the comparison uses, fewer than two groups, or a subject in several.
    """
    if group not in table.codes:
        raise DataError(
            f"{who}: the table has no facet {group!r}; {nearest(group, table.facets)}. Name the column of the groups "
            "in facets= when building the table"
        )
    if group == "subject" or group in used:
        raise DataError(
            f"{who}: group={group!r} must be a property of the subjects that is neither the facet nor one of the model"
        )
    if len(table.levels[group]) < 2:
        raise DataError(f"{who}: {group!r} has one level, {listing(table.levels[group])}; a comparison needs two")
    subject, code = table.codes["subject"], table.codes[group].astype(np.int64)
    n_subjects = len(table.levels["subject"])
    owner = np.zeros(n_subjects, np.int64)
    owner[subject] = code
    if (owner[subject] != code).any():
        mixed = np.unique(subject[owner[subject] != code])
        raise DataError(
            f"{who}: {group!r} varies within {counted(len(mixed), 'subject')} of {n_subjects:,}, first "
            f"{table.levels['subject'][mixed[0]]!r}; groups must be constant within a subject. For what varies within "
            "subjects use bias_analysis, or make subjects of the combinations"
        )
    return owner


def reference_group(
    table: ResponseTable, group: str, wanted: Label | None, owner: NDArray[np.int64], *, who: str
) -> int:
    """Code of the reference group: the one wanted, or the one with most subjects.

    Raises:
        DataError: An unknown group, or one with too few subjects.
    """
    size = np.bincount(owner, minlength=len(table.levels[group]))
    least = int(np.argmin(size))
    if size[least] < _LEAST_SUBJECTS:
        raise DataError(
            f"{who}: group {table.levels[group][least]!r} of {group!r} has {counted(int(size[least]), 'subject')}, too "
            f"few for a population of its own, which takes {_LEAST_SUBJECTS}: leave it out with table.select"
        )
    if wanted is None:
        return int(np.argmax(size))
    if wanted not in table.levels[group]:
        raise DataError(f"{who}: reference={wanted!r} is no level of {group!r}; {nearest(wanted, table.levels[group])}")
    return table.levels[group].index(wanted)


def compare(
    model: AbstractMeasurementModel,
    table: ResponseTable,
    facet: str,
    group: str,
    reference: Label | None,
    anchors: str | Sequence[Label],
    *,
    by_step: bool,
    who: str,
) -> Comparison:
    """Who is compared with whom, where; `by_step` where every step must have responses on both of its sides.

    Raises:
        DataError: What `check_groups` and `reference_group` raise, a facet of one level, or unknown anchors.
    """
    if missing := [name for name in model.facets if name not in table.codes]:
        raise DataError(
            f"{who}: the table has no facet {missing[0]!r}, which the model reads; it has {[*table.facets]}"
        )
    owner = check_groups(table, group, model.facets, who=who)
    first = reference_group(table, group, reference, owner, who=who)
    levels, groups = table.levels[facet], table.levels[group]
    if len(levels) < 2:
        raise DataError(f"{who}: {facet!r} has one level, {listing(levels)}; a difference is one from the other levels")
    fixed = _anchors(levels, anchors, facet, who=who)
    n, low, high = (_cell_sums(table, facet, group, part) for part in ("n", "low", "high"))
    stuck = (n > 0) & ((n == low) | (n == high))
    lacking = _lacks_category(table, facet, group) if by_step else np.zeros(n.shape, bool)
    wanted = np.ones(n.shape, bool)
    wanted[:, first] = False
    excluded = tuple(
        (level, focal, reason)
        for level, focal in zip(*np.nonzero(wanted), strict=True)
        if (
            reason := _reason(level, (first, focal), groups, n, stuck, lacking)
            or (NAMED if levels[level] in fixed else "")
        )
    )
    for level, focal, _ in excluded:
        wanted[level, focal] = False
    if not wanted.any():
        raise DataError(f"{who}: no level of {facet!r} can be compared: {excluded[0][2]} ({levels[excluded[0][0]]!r})")
    size = np.bincount(owner, minlength=len(groups))
    notes = tuple(
        f"group {label!r} has {counted(int(count), 'subject')}: fewer than {_FEW_SUBJECTS} leave moderate differences "
        "unseen, and p approximate"
        for label, count in zip(groups, size.tolist(), strict=True)
        if count < _FEW_SUBJECTS
    )
    cells = Cells.of(table, facet, group, wanted)
    weight = np.where(stuck[table.codes[facet], table.codes[group]], 0.0, table.weight)
    usable = (n > 0) & ~stuck
    n_possible = np.sum(usable & usable[:, [first]], axis=0)
    return Comparison(
        facet, table.categories, levels, groups, groups[first], cells, excluded, n, size, n_possible, weight, notes
    )


def _anchors(levels: Sequence[Label], anchors: str | Sequence[Label], facet: str, *, who: str) -> set[Label]:
    if isinstance(anchors, str):
        if anchors not in ("purified", "others"):
            raise DataError(
                f"{who}: anchors={anchors!r} is not 'purified', 'others' or a sequence of levels of {facet!r}"
            )
        return set()
    if unknown := [label for label in anchors if label not in levels]:
        raise DataError(
            f"{who}: anchors names {listing(unknown)}, not among the levels of {facet!r}, {listing(levels)}"
        )
    if not 0 < len(set(anchors)) < len(levels):
        raise DataError(f"{who}: anchors names {len(set(anchors))} of {len(levels)} levels; name some, and not all")
    return set(anchors)


def _cell_sums(table: ResponseTable, facet: str, group: str, part: str) -> NDArray[np.float64]:
    """Sum of weights of every level in every group, or of those in the level's lowest or highest used category."""
    n_levels, n_groups = len(table.levels[facet]), len(table.levels[group])
    level, used = table.codes[facet].astype(np.int64), table.weight > 0
    weight = table.weight
    if part != "n":
        ends = np.full(n_levels, table.n_categories if part == "low" else -1)
        (np.minimum if part == "low" else np.maximum).at(ends, level[used], table.response[used])
        weight = weight * (table.response == ends[level])
    flat = np.bincount(level * n_groups + table.codes[group], weight, n_levels * n_groups)
    return flat.astype(np.float64).reshape(n_levels, n_groups)


def _lacks_category(table: ResponseTable, facet: str, group: str) -> NDArray[np.bool_]:
    """Whether a level is without some category in a group, shape (levels, groups)."""
    shape = (len(table.levels[facet]), len(table.levels[group]), len(table.categories))
    counts = np.zeros(shape)
    np.add.at(counts, (table.codes[facet], table.codes[group], table.response), table.weight)
    return (counts == 0).any(axis=2)


def _reason(
    level: int,
    pair: tuple[int, int],
    groups: Sequence[Label],
    n: NDArray[np.float64],
    stuck: NDArray[np.bool_],
    lacking: NDArray[np.bool_],
) -> str:
    """Why a level cannot be compared between a pair of groups, or nothing."""
    for group in pair:
        if n[level, group] == 0:
            return f"no responses in group {groups[group]!r}"
        if stuck[level, group]:
            return f"all lowest or all highest in group {groups[group]!r}: no finite difference"
        if lacking[level, group]:
            return f"a category is not used in group {groups[group]!r}: a step beside it has no finite shift"
    return ""
