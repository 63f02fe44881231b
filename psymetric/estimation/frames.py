"""Estimates as labelled frames, and the fit as text."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from psymetric.core.steps import UNUSED
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, DIMENSION, Label, ParamSpec
from psymetric.models.judge_mixture import CLASS
from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD, has_dimensions
from psymetric.models.truth import CATEGORY, AbstractTruthModel

__all__ = ["estimates_frame", "summary_text", "value_labels"]


def estimates_frame(fit: Fit, facet: str, level: float) -> pd.DataFrame:
    """The frame behind `Fit.estimates`."""
    if facet == "population":
        return _scalars(fit, level)
    spec = fit.spec(facet)
    if spec.name not in fit.parameters:
        if spec.name == ABILITY:
            raise DataError(f"{fit.engine} integrates subjects out: use psymetric.score(fit, table) for their measures")
        raise DataError(f"this fit holds no parameter {spec.name!r}")
    labels = _labels(fit, spec)
    lower, upper = fit.interval(spec.name, level)
    estimate, se = fit.parameters[spec.name], fit.standard_errors[spec.name]
    frame = pd.DataFrame(
        labels | {"estimate": estimate.ravel(), "se": se.ravel(), "lower": lower.ravel(), "upper": upper.ravel()}
    )
    if "step" in spec.axes:
        return _mark_unused(frame)
    frame["n"] = fit.counts[spec.name].ravel() if spec.name in fit.counts else fit.n_responses
    frame["note"] = _notes(fit, spec, estimate.size)
    if spec.support == "simplex":
        lacks = frame["se"].isna() & fit.status.converged
        at_bound = frame["estimate"].isin([0.0, 1.0])
        frame.loc[lacks & at_bound, "note"] = "at its bound: no standard error"
        frame.loc[lacks & ~at_bound, "note"] = "no standard error: see the notes of the fit"
    if DIMENSION in spec.axes and spec.name != ABILITY:
        # What the key leaves out is exactly zero.
        return frame[estimate.ravel() != 0].reset_index(drop=True)
    if spec.axes == ("tie_order",):
        unseen = frame["estimate"].abs() > UNUSED / 2
        frame.loc[unseen, ["estimate", "se", "lower", "upper"]] = np.nan
        frame.loc[unseen, "note"] = "ties of this size never occur"
    return frame


def _labels(fit: Fit, spec: ParamSpec) -> dict[str, list[object]]:
    if not spec.axes:
        return {"level": [spec.name]}
    if "step" in spec.axes:
        groups = fit.levels[spec.axes[0]] if len(spec.axes) == 2 else ("all",)
        steps = range(1, len(fit.categories))
        return {
            "group": [group for group in groups for _ in steps],
            "step": [step for _ in groups for step in steps],
            "category": [fit.categories[step] for _ in groups for step in steps],
        }
    if len(spec.axes) == 1:
        return {"level": list(fit.levels[spec.axes[0]])}
    rows = product(*(fit.levels[axis] for axis in spec.axes))
    return {axis: list(column) for axis, column in zip(spec.axes, zip(*rows, strict=True), strict=True)}


def value_labels(fit: Fit, name: str) -> list[str]:
    """What each number of a parameter array is called, in the order of the flattened array; "" where there is one."""
    spec = next((spec for spec in fit.model.parameters if spec.name == name), None)
    if name == CORRELATION:
        return [f"{first}, {second}" for first in fit.levels[DIMENSION] for second in fit.levels[DIMENSION]]
    if spec is None or not spec.axes:
        return [str(label) for label in _population_labels(fit, name)] or [""]
    columns = _labels(fit, spec)
    columns.pop("category", None)
    if columns.get("group", [""])[0] == "all":
        columns.pop("group")
    return [" × ".join(map(str, row)) for row in zip(*columns.values(), strict=True)]


def _mark_unused(frame: pd.DataFrame) -> pd.DataFrame:
    unused = frame["estimate"].abs() > UNUSED / 2
    frame.loc[unused, ["estimate", "se", "lower", "upper"]] = np.nan
    frame["note"] = np.where(unused, "a category that this step joins was never used", "")
    return frame


def _notes(fit: Fit, spec: ParamSpec, n_values: int) -> list[str]:
    extreme = fit.extremes.get(spec.axes[0] if spec.axes else "", ())
    anchored = {label for label, _ in spec.anchors}
    labels = fit.levels[spec.axes[0]] if len(spec.axes) == 1 else ()
    notes = [f"extreme score ({side})" if side else "" for side in extreme] if len(extreme) == n_values else []
    notes = notes or [""] * n_values
    for place, label in enumerate(labels):
        if label in anchored:
            notes[place] = "anchored"
    if len(labels) == 1 and not anchored and spec.axes != (CLASS,) and not isinstance(fit.model, AbstractTruthModel):
        notes[0] = "one level: fixed at zero"
    return notes


def _plural(facet: str) -> str:
    return {CLASS: "classes", CATEGORY: "categories"}.get(facet, f"{facet}s")


def _unit_of_data(fit: Fit) -> str:
    return "rankings" if fit.model.table_kind == "rankings" else f"responses, {len(fit.categories)} categories"


def _scalars(fit: Fit, level: float) -> pd.DataFrame:
    """Numbers that belong to no facet, and those of the groups and covariates of the population."""
    rows: list[tuple[str, float, float, float, float]] = []
    for name, value in fit.parameters.items():
        labels = _population_labels(fit, name)
        if np.ndim(value) and not labels:
            continue
        columns = (value, fit.standard_errors[name], *fit.interval(name, level))
        if name == CORRELATION:
            columns = tuple(column[np.tril_indices(len(value), -1)] for column in columns)
        names = [f"{name}: {label}" for label in labels] or [name]
        rows += zip(names, *(np.ravel(column).tolist() for column in columns), strict=True)
    return pd.DataFrame(rows, columns=["level", "estimate", "se", "lower", "upper"])


def _population_labels(fit: Fit, name: str) -> tuple[Label, ...]:
    """Labels of the weights of covariates, of a population's groups and of dimensions; none for numbers and facets."""
    if name.endswith("_weight") and name in fit.levels:
        terms, classes = fit.levels[name], fit.levels.get(CLASS)
        return terms if classes is None else tuple(f"{term}, {CLASS} {k}" for term in terms for k in classes)
    if has_dimensions(fit.model) and name in (POPULATION_MEAN, POPULATION_SD):
        return fit.levels[DIMENSION]
    if name == CORRELATION:
        names = fit.levels[DIMENSION]
        return tuple(f"{names[j]}, {names[i]}" for i, j in zip(*np.tril_indices(len(names), -1), strict=True))
    groups = fit.model.population.groups
    return fit.levels[groups] if groups is not None and name in (POPULATION_MEAN, POPULATION_SD) else ()


def summary_text(fit: Fit) -> str:
    """The text behind `Fit.summary`."""
    penalised = " (penalised: priors are part of the estimates)" if fit.penalised else ""
    lines = [
        f"{type(fit.model).__name__} by {fit.engine}{penalised}",
        f"  {fit.n_responses:g} {_unit_of_data(fit)}; "
        + ", ".join(f"{len(labels)} {_plural(facet)}" for facet, labels in fit.levels.items()),
    ]
    if fit.log_likelihood is not None:
        lines.append(f"  log-likelihood {fit.log_likelihood:.4f}, {fit.n_parameters} parameters")
    lines.append(f"  {'converged' if fit.status.converged else 'NOT CONVERGED'}: {fit.status.message}")
    lines += [f"  {row.level} {row.estimate:.3f} (se {row.se:.3f})" for row in _scalars(fit, 0.95).itertuples()]
    for spec in fit.model.parameters:
        if spec.name in fit.parameters and spec.axes and "step" not in spec.axes:
            values = fit.parameters[spec.name]
            values = values[values != 0] if spec.name != ABILITY and DIMENSION in spec.axes else values
            values = values[np.abs(values) < UNUSED / 2]
            unit = " logits" if spec.unit == "logit" else ""
            lines.append(f"  {spec.name}: {values.size} values, {values.min():.2f} to {values.max():.2f}{unit}")
    return "\n".join(lines + [f"  note: {note}" for note in fit.notes])
