"""Answers drawn from a model at known parameters, and the tables they make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from calibration_cases import Design
from calibration_mixtures import draw_votes
from calibration_rankings import draw_rankings, ranking_table, shows_all_ties
from calibration_truth import Values

import psymetric as ps
from psymetric.models.base import Table
from psymetric.models.nested import AbstractNestedModel


@cache
def cells(design: Design) -> dict[str, np.ndarray]:
    """Codes of every response: all combinations of levels, where pairs of items in either order count as levels."""
    facets, sizes = [*design.sizes], [*design.sizes.values()]
    if design.model.table_kind == "pairs":
        pairs = np.argwhere(~np.eye(sizes[0], dtype=bool))
        place, *others = np.indices((len(pairs), *sizes[1:])).reshape(len(sizes), -1)
        return {"left": pairs[place, 0], "right": pairs[place, 1], **dict(zip(facets[1:], others, strict=True))}
    return dict(zip(facets, np.indices(sizes).reshape(len(sizes), -1), strict=True))


@cache
def _log_probs(design: Design) -> object:
    """The model's own probabilities, which other tests hold to second implementations."""
    return jax.jit(lambda params, codes: design.model.category_log_probs(params, codes, design.n_categories))


def draw_scores(design: Design, truth: Values, rng: np.random.Generator) -> np.ndarray:
    """A score for every cell, shape (cells,); of a choice model, how often each ranking was given."""
    if design.model.table_kind == "rankings":
        return draw_rankings(design, truth, rng)
    if isinstance(design.model, ps.JudgeMixture):
        return draw_votes(truth, cells(design), rng)
    params = {name: jnp.asarray(value) for name, value in truth.items()}
    codes = {name: jnp.asarray(code) for name, code in cells(design).items()}
    if isinstance(design.model, AbstractNestedModel):
        seed = int(rng.integers(2**31))
        params, codes = design.model.with_latent(params, codes, design.n_categories, seed=seed)
    below = np.cumsum(np.exp(np.asarray(_log_probs(design)(params, codes))), axis=1)
    return (rng.random((len(below), 1)) * below[:, -1:] > below).sum(axis=1)


def uses_all_categories(design: Design, scores: np.ndarray) -> bool:
    """Whether every group of steps saw every category, and ties occur where a model has them."""
    if design.model.table_kind == "pairs":
        return design.n_categories == 2 or bool(np.any(scores == 2))
    if design.model.table_kind == "rankings":
        return shows_all_ties(design, scores)
    groups = [spec.axes[0] for spec in design.model.parameters if spec.axes[1:] == ("step",)]
    common = any(spec.axes == ("step",) for spec in design.model.parameters)
    owners = [cells(design)[facet] for facet in groups] + [np.zeros(len(scores), int)] * common
    return all(len(set(zip(group, scores, strict=True))) == (group.max() + 1) * design.n_categories for group in owners)


def table_of(design: Design, scores: np.ndarray) -> Table:
    """Every category of every cell, with weight one where it was given and zero elsewhere.

    Arrays then have one shape whatever was answered, and the sampler is compiled once.
    """
    if design.model.table_kind == "rankings":
        return ranking_table(design, scores)
    n = design.n_categories
    frame = pd.DataFrame({name: np.repeat(code, n) for name, code in cells(design).items()})
    frame["rating"] = np.tile(np.arange(n), len(scores))
    frame["given"] = (frame["rating"] == np.repeat(scores, n)).astype(float)
    # Whole numbers are codes of labels; others are numbers.
    labels = {
        name: np.array([f"g{code}" for code in value]) if value.dtype == int else value
        for name, (_, value) in design.columns.items()
    }
    if design.model.table_kind == "pairs":
        return _pair_table(design, frame, labels)
    for name, (facet, _) in design.columns.items():
        frame[name] = labels[name][frame[facet]]
    return ps.ResponseTable.from_frame(
        frame,
        response="rating",
        subject="subject",
        item="item" if "item" in design.sizes else None,
        facets=tuple(name for name in frame if name not in ("subject", "item", "rating", "given")),
        weight="given",
    )


def _pair_table(design: Design, frame: pd.DataFrame, labels: Mapping[str, np.ndarray]) -> ps.PairTable:
    """Columns about items are their attributes, the others belong to the comparison."""
    frame["rating"] = np.array(["left", "right", "tie"])[frame["rating"]]
    about = {name: labels[name] for name, (facet, _) in design.columns.items() if facet == "item"}
    items = pd.DataFrame({"item": np.arange(design.sizes["item"]), **about}) if about else None
    facets = [facet for facet in design.sizes if facet != "item"]
    for name in facets:
        frame[name] = labels[name][frame[name]] if name in labels else frame[name]
    return ps.PairTable.from_frame(
        frame, left="left", right="right", outcome="rating", facets=facets, weight="given", items=items
    )
