"""From a judge's scores or probabilities to people's scale, each labelled row predicted by maps that never saw it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.cross_fitting import (
    CrossFit,
    Labelled,
    Method,
    Settings,
    check_method,
    cross_fit,
    fit_map,
    read_inputs,
)
from psymetric.calibration.judged import FLOOR, Judged, refuse_constant, values_of
from psymetric.core.provenance import Provenance
from psymetric.data.categories import code_responses
from psymetric.data.coding import Label, code_labels
from psymetric.data.columns import native_frame
from psymetric.data.messages import counted, listing, nearest
from psymetric.data.missing import answered_rows
from psymetric.errors import DataError

__all__ = ["calibrate"]

_WHO = "calibrate"


def calibrate(
    frame: Any,
    *,
    judge: str | Sequence[str],
    label: str,
    method: Method = "isotonic",
    group: str | None = None,
    effect: str | None = None,
    categories: Sequence[Label] | None = None,
    folds: int = 5,
    repeats: int = 5,
    prior_sd: float = 2.5,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> CalibrationMap:
    """Learn from labelled rows what a judge's score or probabilities mean on people's scale.

    Every method gives a whole distribution of the label, and its expectation as the calibrated score:

    | method | the judge gives | the map |
    |---|---|---|
    | `isotonic` | one score | rises with the score, of any shape; wants some hundreds of labels |
    | `platt` | a probability of the higher of two labels | logistic on its logit |
    | `ordinal` | one or more scores | cumulative logit, with shifts of the levels of `effect` |
    | `temperature` | probabilities of the categories | all equally sharper or flatter: one number |
    | `vector` | the same | a weight and a shift per category |
    | `dirichlet` | the same | any weights between categories and shifts; wants many labels |

    With two categories the probability of the higher one alone will do. Rows without a label are left out, and counted
    in a note; `predict` serves them. A judge's non-response is no score: leave such rows out.

    `effect` names a column, such as the person who labelled or the judge who scored, whose levels use the scale in
    their own way: each shifts the logits, and the shifts are drawn from a normal distribution whose sd is estimated.
    A new level is predicted as the average one is, over that distribution.

    Args:
        frame: A pandas, Polars or Arrow table with one row per label.
        judge: Column of scores, or columns of probabilities in the order of the categories.
        label: Column of people's labels. Numbers are taken as they are in expectations, texts count 0…K−1.
        method: As above.
        group: Column of what is held out together, drawn together and not independent within, such as the text that
            several people labelled; by default every row is its own.
        effect: As above; for `ordinal` only.
        categories: All labels from low to high; by default the whole numbers from the lowest to the highest.
        folds: Parts that the groups are divided into, 2 or more; each is predicted by a map of the others.
        repeats: Divisions, 1 or more, over which out-of-fold predictions are averaged.
        prior_sd: Normal prior, positive: of an ordinal or Platt slope around 0 in logits per sd of its column, and of
            the weights of temperature, vector and Dirichlet scaling around the judge's own probabilities. It keeps a
            map finite that a few labels would make a step.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples of groups for the standard error of an isotonic map, 2 or more; that of the others is
            clustered by group without draws.
        seed: Of the folds and the bootstrap.

    Raises:
        DataError: An unknown column or method, a judge who says the same of every row, NaN or text of a judge,
            probabilities that do not sum to one, one label only, labels outside the categories, fewer groups than
            folds.

    Source: Zadrozny & Elkan (2002), isotonic; Platt (1999), with a prior on the slope in place of his targets;
    Guo et al. (2017), temperature and vector; Kull et al. (2019), Dirichlet; McCullagh (1980), cumulative logit.
    """
    _check_settings(folds, repeats, prior_sd, level, draws)
    rows = native_frame(frame, who=_WHO)
    columns = (judge,) if isinstance(judge, str) else tuple(judge)
    _check_columns(rows, columns, label, group, effect, method)
    labelled = answered_rows(rows[label])
    codes, names, notes = code_responses(rows[label], labelled, categories=categories, who=_WHO, column=label)
    _check_labels(codes, names, label)
    check_method(method, columns, len(names), who=_WHO)
    kept = rows[labelled]
    x, raised = read_inputs(kept, method, columns, who=_WHO)
    refuse_constant(x, columns if len(columns) == x.shape[1] else columns * x.shape[1], who=_WHO)
    group_codes, group_names = _coded(kept, group)
    _check_folds(len(group_names), folds, group)
    effect_codes, effect_names = _coded(kept, effect) if effect else (np.full(len(kept), -1, np.int32), ())
    data = Labelled(Judged(x, effect_codes), codes, group_codes)
    settings = Settings(method, values_of(names), len(effect_names), prior_sd, draws, seed)
    fitted, crossed = fit_map(data, settings, draws=draws), cross_fit(data, settings, folds=folds, repeats=repeats)
    found = _out_of_fold(data, crossed, names, settings.values, np.flatnonzero(labelled), group_names)
    return CalibrationMap(
        method,
        columns,
        label,
        names,
        group=group,
        effect=effect,
        effect_levels=effect_names,
        level=level,
        fitted=fitted,
        fold_maps=crossed.maps,
        out_of_fold=found,
        first_division=crossed.first,
        notes=(*notes, *_notes(data, crossed, names, int((~labelled).sum()), raised, method, columns)),
        provenance=Provenance(
            source=_hash(data, names, columns),
            settings={"method": method, "folds": folds, "repeats": repeats, "prior_sd": prior_sd, "draws": draws},
            seed=seed,
        ),
    )


def _check_settings(folds: int, repeats: int, prior_sd: float, level: float, draws: int) -> None:
    if folds < 2 or repeats < 1 or draws < 2:
        raise DataError(
            f"{_WHO}: folds={folds}, repeats={repeats}, draws={draws}; ask for at least 2 folds, 1 repeat and 2 draws"
        )
    if not (np.isfinite(prior_sd) and prior_sd > 0):
        raise DataError(f"{_WHO}: prior_sd={prior_sd} is not a positive number; a large one, such as 100, is no prior")
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")


def _check_columns(
    rows: pd.DataFrame, columns: tuple[str, ...], label: str, group: str | None, effect: str | None, method: Method
) -> None:
    for role, name in (("label", label), ("group", group), ("effect", effect)):
        if name is not None and name not in rows.columns:
            raise DataError(f"{_WHO}: no column {name!r} (named as {role}); {nearest(name, rows.columns)}")
    if label in columns:
        raise DataError(f"{_WHO}: {label!r} is named as label and as judge; a label cannot predict itself.")
    if not columns or len(set(columns)) < len(columns):
        raise DataError(f"{_WHO}: judge={listing(columns)}; name one column of the judge or more, each once.")
    if effect is not None and method != "ordinal":
        raise DataError(f"{_WHO}(method={method!r}) has no effect of {effect!r}; use method='ordinal'.")


def _check_folds(n_groups: int, folds: int, group: str | None) -> None:
    if n_groups < folds:
        raise DataError(
            f"{_WHO}: {counted(n_groups, group or 'labelled row')} cannot be divided into folds={folds}; label "
            "more, or ask for fewer folds."
        )


def _check_labels(codes: NDArray[np.int32], names: tuple[Label, ...], label: str) -> None:
    if not np.any(codes != codes[0]):
        raise DataError(
            f"{_WHO}: every label in {label!r} is {names[codes[0]]!r} ({counted(len(codes), 'row')}): there is nothing "
            "to tell apart; label rows of another kind."
        )


def _hash(data: Labelled, names: tuple[Label, ...], columns: tuple[str, ...]) -> str:
    """SHA-256 of the labelled rows as the map read them."""
    digest = hashlib.sha256(json.dumps(["psymetric:calibrate:1", names, columns]).encode())
    digest.update(np.ascontiguousarray(data.judged.x, "<f8").data)
    for codes in (data.judged.effect, data.codes, data.group):
        digest.update(np.ascontiguousarray(codes, "<i4").data)
    return digest.hexdigest()


def _coded(rows: pd.DataFrame, column: str | None) -> tuple[NDArray[np.int32], tuple[Label, ...]]:
    """Codes and labels of the groups, or one group per row."""
    if column is None:
        return np.arange(len(rows), dtype=np.int32), tuple(range(len(rows)))
    return code_labels(rows[column], who=_WHO, column=column)


def _out_of_fold(
    data: Labelled,
    crossed: CrossFit,
    names: tuple[Label, ...],
    values: NDArray[np.float64],
    places: NDArray[np.intp],
    group_names: tuple[Label, ...],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": places,
            "group": pd.Index(list(group_names)).take(data.group),
            "fold": crossed.fold,
            "label": pd.Index(list(names)).take(data.codes),
            "calibrated": crossed.mean @ values,
            **{f"p_{name}": shares for name, shares in zip(names, crossed.mean.T, strict=True)},
        }
    )


def _notes(
    data: Labelled,
    crossed: CrossFit,
    names: tuple[Label, ...],
    unlabelled: int,
    raised: int,
    method: Method,
    columns: tuple[str, ...],
) -> Iterator[str]:
    if unlabelled:
        yield f"{counted(unlabelled, 'row')} without a label left out"
    if raised:
        yield f"{counted(raised, 'probability', 'probabilities')} below {FLOOR:g} read as {FLOOR:g}"
    unused = [name for code, name in enumerate(names) if not np.any(data.codes == code)]
    if unused:
        yield f"no label is {listing(unused)}"
    lost = int(np.sum(crossed.first[np.arange(len(data.codes)), data.codes] == 0))
    if lost:
        yield (
            f"{counted(lost, 'label')} had probability zero when held out, so that the log loss is infinite: nothing "
            "like it was left in the other folds; an isotonic map says 0 and 1 at its ends, and a category that one "
            "group alone has is not predicted without it"
        )
    if method in ("isotonic", "platt"):
        rank = float(spearmanr(data.judged.x[:, 0], data.codes).statistic)
        if rank < 0:
            yield (
                f"labels fall as {columns[0]!r} rises (rank correlation {rank:.2f})"
                + ("; the isotonic map can only rise: turn the score round" if method == "isotonic" else "")
            )
