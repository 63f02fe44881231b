"""Which facets are random where a model leaves it to the engine: the one place where that is decided."""

from __future__ import annotations

from dataclasses import replace

from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["EXCHANGEABLE", "decide_random"]

EXCHANGEABLE = ("judge", "template")
"""Facets whose levels stand for others like them, to which results are meant to extend: more judges, other wordings."""

_FEWEST_LEVELS = 3
"""Two centred levels are one contrast, which says next to nothing about the sd of the distribution it came from: the
prior on that sd would decide how far the two are drawn together."""


def decide_random(
    model: AbstractMeasurementModel, table: Table, candidates: tuple[str, ...]
) -> tuple[AbstractMeasurementModel, tuple[str, ...]]:
    """The model with its `random` setting decided, and notes that say how.

    Args:
        model: Returned as it is where it has no `random` setting, or one that is not None.
        table: Counts the levels.
        candidates: Facets that are random unless anchored, explained by covariates (whose residual is the model's to
            declare), or of fewer than three levels.
    """
    if getattr(model, "random", ()) is not None:
        return model, ()
    n_levels = {
        spec.name: len(table.levels[spec.name])
        for spec in model.parameters
        if spec.name in candidates and not spec.anchors and not spec.covariates
    }
    random = tuple(facet for facet, n in n_levels.items() if n >= _FEWEST_LEVELS)
    notes = [
        f"facet {facet!r} is random by default: its {n} levels count as draws from a normal distribution whose sd is "
        "estimated; random=() takes them for themselves"
        if facet in random
        else f"facet {facet!r} is fixed: its {n} levels are too few to estimate the sd of a random facet"
        for facet, n in n_levels.items()
        if n > 1
    ]
    return replace(model, random=random), tuple(notes)  # pyright: ignore[reportArgumentType, reportCallIssue]
