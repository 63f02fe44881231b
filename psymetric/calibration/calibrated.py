"""The one call: few human labels and many verdicts of a judge, to an estimate with an honest interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.calibrated_rows import Method, estimated_row, unestimated_row
from psymetric.calibration.calibrated_words import claim
from psymetric.calibration.judged_rows import Estimand, JudgedRows, read_judged
from psymetric.core.provenance import Provenance
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing, nearest
from psymetric.errors import DataError, IdentificationError

__all__ = ["CalibratedEstimate", "calibrated_estimate"]

_WHO: Final = "calibrated_estimate"
_FEWEST: Final = 10
"""Labels under which neither the judge's error nor its spread can be seen."""
_RANDOM: Final = (
    "Labelled rows are taken for a random sample of the judged ones; where some were likelier to be labelled, give "
    "their chances by probability=."
)
_GIVEN: Final = "Labels are weighted by the inverse of the chances in {!r}."
_SAME: Final = "All verdicts are taken to be of one judge, one version and one prompt."
_TRANSPORT: Final = (
    "Rogan-Gladen takes the judge to err equally often, given the truth, on labelled rows and others; labelled rows "
    "may have been chosen by their label."
)


@final
@dataclass(frozen=True)
class CalibratedEstimate:
    """Estimates from labels and verdicts, beside those of the judge alone and of people alone.

    Attributes:
        frame: One row per estimate, see `calibrated_estimate`.
        claims: Each row in words: the estimate, and what bears on it.
        estimand: What was estimated.
        method: How.
        level: Coverage of the intervals.
        notes: What was left out, and what the numbers rest on.
        rows: What was read: every row with a verdict.
        provenance: Columns and settings, versions, and the hash of what was read.
    """

    frame: pd.DataFrame
    claims: tuple[tuple[str, str], ...]
    estimand: Estimand
    method: Method
    level: float
    notes: tuple[str, ...]
    rows: JudgedRows = field(repr=False)
    provenance: Provenance = field(repr=False)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each row in words."""
        return tuple(" ".join(filter(None, both)) for both in self.claims)

    def __str__(self) -> str:
        """The sentences, then the notes."""
        return "\n".join((*self.sentences, *(f"({note})" for note in self.notes)))


def calibrated_estimate(
    df: Any,
    *,
    judge: str = "judge",
    label: str = "human",
    estimand: Estimand = "mean",
    system: str | None = None,
    systems: Sequence[Label] | None = None,
    by: str | None = None,
    values: Mapping[Any, float] | None = None,
    method: Method = "ppi",
    cluster: str | None = None,
    probability: str | None = None,
    weight: str | None = None,
    level: float = 0.95,
) -> CalibratedEstimate:
    """Mean quality, difference of two systems, or win rate, from many verdicts and a few human labels.

    * `method="ppi"`, the default, takes it that labelled rows are a random sample of the rows, or that their chances
      are given. It holds however the judge errs, and is never much wider than labels alone.
    * `method="rogan_gladen"` takes it that the judge errs equally often, given the truth, on labelled rows and others.
      Labelled rows may be chosen by their label, such as half passes and half failures. For categories only, and wider.

    PPI++ takes the judge's mean and puts it right by its mean error on the labelled rows, with as much of the judge as
    lowers the variance (`psymetric.calibration.influence.powered_mean`). Intervals are Student's, with Satterthwaite's
    degrees of freedom; those of a mean of two-valued labels are Wilson's, and count one more label of each value than
    was seen, so that they hold near 0 and 1 too. Those of Rogan-Gladen with two values are of a test that is inverted,
    and reach from end to end where the judge may be useless.

    Args:
        df: A pandas, Polars or Arrow table; one row per thing judged, labelled or not.
        judge: Column of verdicts. Rows without one are left out and counted.
        label: Column of human labels, missing where there is none.
        estimand: "mean"; "difference" of two systems; "win_rate", where verdicts and labels count 1 for a win, .5 for a
            tie, 0 for a loss, or are the words win, tie, loss or left, tie, right (won by the left one).
        system: Column of what is evaluated: one estimate each, or their difference.
        systems: Levels of it to use; for a difference the first less the second.
        by: Column of groups, each with estimates of its own, from labels of its own.
        values: What verdicts and labels that are text count for, such as {"good": 1, "bad": 0}.
        method: "ppi" or "rogan_gladen".
        cluster: Column of what rows share and are not independent in: the prompt that two systems answered (the
            difference is then paired), the item that several people labelled.
        probability: Column of the chance that a row had of being labelled, from `next_labels` or another design.
        weight: Column of how much a row counts in the mean.
        level: Coverage, in (0, 1).

    Returns:
        `frame` has one row per estimate: the columns `by` and `system` where named, `estimate`, `se`, `lower`, `upper`;
        `judge_alone`, `judge_lower`, `judge_upper` (its naive interval, which forgets that it errs); `bias` (judge less
        estimate), `bias_lower`, `bias_upper`; `people_alone`, `people_lower`, `people_upper` (labels without the
        judge); `n_judged`, `n_labels`; `power` (coefficient of the judge); `effective_labels` (labels alone that would
        have this error); `more_labels` that would halve the interval at the same verdicts, `more_judgements` at the
        same labels (inf where they alone cannot); `note`. NaN with a note in groups of fewer than 10 labels, or whose
        judge Rogan-Gladen cannot use.

    Raises:
        DataError: Unknown columns, settings or categories; no labels, or fewer than 10 everywhere; labels all alike;
            a difference without two systems.
        IdentificationError: Rogan-Gladen with a judge no better than a coin.

    Source: Angelopoulos, Duchi & Zrnic (2023), PPI++, arXiv 2311.01453; Zrnic & Candès (2024), arXiv 2403.03208
    (unequal chances); Rogan & Gladen (1978), American Journal of Epidemiology 107, 71-76.
    """
    _check(estimand, method, level, system)
    roles = {"judge": judge, "label": label, "system": system, "by": by}
    roles |= {"cluster": cluster, "probability": probability, "weight": weight}
    rows = read_judged(df, roles, values=values, estimand=estimand, who=_WHO)
    chosen = _systems(rows, systems, estimand)
    groups = _groups(rows, chosen, estimand)
    found: list[dict[str, object]] = []
    for names, parts in groups:
        why = _too_few(parts)
        try:
            row = unestimated_row(parts, why) if why else estimated_row(parts, estimand, method, level, who=_WHO)
        except (DataError, IdentificationError) as error:
            # One group without an estimate does not take the others' away.
            if len(groups) == 1:
                raise
            row = unestimated_row(parts, str(error).removeprefix(f"{_WHO}: "))
        found.append(names | row)
    if all(np.isnan(row["estimate"]) for row in found):  # pyright: ignore[reportCallIssue, reportArgumentType]
        raise DataError(f"{_WHO}: {found[0]['note']}. Label at least {_FEWEST} rows of each group")
    renamed = {"by": by, "system": system}
    frame = pd.DataFrame(found).rename(columns={key: value for key, value in renamed.items() if value})
    claims = tuple(claim(row, estimand, level) for row in found)
    how = _TRANSPORT if method == "rogan_gladen" else _GIVEN.format(probability) if probability else _RANDOM
    settings = {**roles, "estimand": estimand, "systems": systems, "values": values, "method": method, "level": level}
    origin = Provenance(rows.hash, {name: value for name, value in settings.items() if value is not None})
    notes = (*rows.notes, how, _SAME)
    return CalibratedEstimate(frame.infer_objects(), claims, estimand, method, level, notes, rows, origin)


def _check(estimand: Estimand, method: Method, level: float, system: str | None) -> None:
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    for name, value, known in (("estimand", estimand, Estimand), ("method", method, Method)):
        if value not in get_args(known):
            raise DataError(f"{_WHO}: {name}={value!r} is not known; use one of {[*get_args(known)]}")
    if estimand == "difference" and system is None:
        raise DataError(f'{_WHO}: estimand="difference" is of two systems; name their column by system=')


def _systems(rows: JudgedRows, systems: Sequence[Label] | None, estimand: Estimand) -> tuple[Label, ...]:
    """The levels of the system column to use."""
    there = rows.levels.get("system", ())
    if systems is None:
        if estimand == "difference" and len(there) != 2:
            raise DataError(
                f"{_WHO}: a difference is of two systems and there are {listing(there)}; name two by systems="
            )
        return there
    if not there:
        raise DataError(f"{_WHO}: systems={[*systems]} without their column; name it by system=")
    unknown = [name for name in systems if name not in there]
    if unknown:
        raise DataError(f"{_WHO}: systems= names {unknown[0]!r}; {nearest(unknown[0], there)}")
    if len(set(systems)) < len(systems) or (estimand == "difference" and len(systems) != 2):
        raise DataError(f"{_WHO}: systems={[*systems]}; name each once, and two for a difference")
    return tuple(systems)


def _groups(
    rows: JudgedRows, systems: tuple[Label, ...], estimand: Estimand
) -> list[tuple[dict[str, object], list[JudgedRows]]]:
    """Names of each estimate and the rows it is from: one set of rows, or two for a difference."""
    found: list[tuple[dict[str, object], list[JudgedRows]]] = []
    for at, name in enumerate(rows.levels.get("by", (None,))):
        group = rows if name is None else rows.take(rows.codes["by"] == at)
        names: dict[str, object] = {} if name is None else {"by": name}
        if not systems:
            found.append((names, [group]))
            continue
        place = [rows.levels["system"].index(one) for one in systems]
        parts = [group.take(group.codes["system"] == code) for code in place]
        if estimand == "difference":
            found.append((names | {"system": f"{systems[0]} − {systems[1]}"}, parts))
        else:
            found += [(names | {"system": one}, [part]) for one, part in zip(systems, parts, strict=True)]
    return found


def _too_few(parts: list[JudgedRows]) -> str:
    """Why there is no estimate, or nothing."""
    for part in parts:
        known: NDArray[np.bool_] = part.known
        n = int(known.sum())
        if n < _FEWEST:
            return f"{counted(n, 'label')} {'is' if n == 1 else 'are'} too few for an interval"
        if part.cluster is not None and (clusters := len(np.unique(part.cluster[known]))) < _FEWEST:
            return f"labels in {counted(clusters, 'cluster')} are too few for an interval"
        if part.values is None and np.ptp(part.label[known]) == 0:
            return f"all {n:,} labels are {part.label[known][0]:g}, so that their spread cannot be seen"
    return ""
