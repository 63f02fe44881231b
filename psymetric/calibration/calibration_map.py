"""A fitted map from a judge to people's labels: what it predicts, and how it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from html import escape
from typing import Any, Self, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from psymetric.calibration.cross_fitting import AnyMap, Method, map_from_dict, read_inputs
from psymetric.calibration.cumulative_map import CumulativeMap
from psymetric.calibration.judged import Judged, code_known, values_of
from psymetric.core.provenance import Provenance
from psymetric.data.coding import Label
from psymetric.data.columns import native_frame
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError

__all__ = ["CalibrationMap"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False, repr=False)
class CalibrationMap:
    """A map from a judge to people's labels.

    Attributes:
        method: How it maps.
        judge: Columns it reads, in the order of the categories where they are probabilities.
        label: Column of the labels.
        categories: Labels from low to high. values: What they count in an expectation.
        group: Column of what was held out together; None where rows were.
        effect: Column whose levels shift the labels; None without. effect_levels: Those that were seen.
        level: Coverage of the intervals.
        fitted: The map of all labelled rows.
        fold_maps: The maps without each fold of the first division.
        out_of_fold: One row per labelled row: `row` (place in the frame, from 0), `group`, `fold` (of the first
            division), `label`, `calibrated` (expected label) and `p_<category>`, averaged over the divisions.
        first_division: Probabilities of the same rows under the first division alone, shape (rows, categories).
        notes: What a reader should know, as sentences.
        provenance: Versions, settings and seed.
    """

    method: Method
    judge: tuple[str, ...]
    label: str
    categories: tuple[Label, ...]
    _: KW_ONLY
    group: str | None
    effect: str | None
    effect_levels: tuple[Label, ...]
    level: float
    fitted: AnyMap
    fold_maps: tuple[AnyMap, ...]
    out_of_fold: pd.DataFrame
    first_division: Array
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def values(self) -> Array:
        """What the categories count in an expectation, shape (categories,)."""
        return values_of(self.categories)

    @property
    def probability_columns(self) -> list[str]:
        """Names of the columns of probabilities, in the order of the categories."""
        return [f"p_{category}" for category in self.categories]

    def inputs(self, frame: pd.DataFrame, *, who: str = "predict") -> Judged:
        """The rows as the map reads them.

        Raises:
            DataError: As `predict`.
        """
        x, _ = read_inputs(frame, self.method, self.judge, who=who)
        if self.effect is None or self.effect not in frame.columns:
            return Judged(x, np.full(len(x), -1, np.int32))
        return Judged(x, code_known(frame[self.effect], self.effect_levels))

    def predict(self, frame: Any) -> pd.DataFrame:
        """Calibrated labels of rows, with or without a label of their own, in the order and under the index given.

        Rows that the map was fitted on are predicted by a map that saw them: for those `out_of_fold` is the honest
        answer. Where the effect's level is missing, was not seen or has no column, the prediction is averaged over
        all levels there might be, and `effect_known` is False.

        Args:
            frame: A pandas, Polars or Arrow table with the judge's columns.

        Returns:
            One row each: `calibrated` (expected label), `se` (of the map at this row: what another labelled sample
            would change), `lower`, `upper` (of the expected label), `label_lower`, `label_upper` (a new label lies
            within with at least this chance, if the map is right; `conformal_sets` does without the if), and
            `p_<category>`.

        Raises:
            DataError: A column is unknown, holds no numbers or NaN; probabilities are none or do not sum to one.
        """
        rows = native_frame(frame, who="predict")
        judged, values = self.inputs(rows), self.values
        shares = self.fitted.probabilities(judged)
        calibrated = shares @ values
        se = self.fitted.standard_error(judged, values)
        reach = float(ndtri((1 + self.level) / 2)) * se
        ends = np.sort(values)[[0, -1]]
        below = np.cumsum(shares, axis=1)
        tail, names = (1 - self.level) / 2, np.array(self.categories, dtype=object)
        # A hair above the sums' rounding, so that a tail of exactly that size is cut.
        low, high = (np.minimum((below < at - 1e-12).sum(axis=1), len(values) - 1) for at in (tail, 1 - tail))
        found = pd.DataFrame(
            {
                "calibrated": calibrated,
                "se": se,
                "lower": np.clip(calibrated - reach, *ends),
                "upper": np.clip(calibrated + reach, *ends),
                "label_lower": pd.Series(names[low]).infer_objects().to_numpy(),
                "label_upper": pd.Series(names[high]).infer_objects().to_numpy(),
                **dict(zip(self.probability_columns, shares.T, strict=True)),
            },
            index=rows.index,
        )
        if self.effect is not None:
            found.insert(6, "effect_known", judged.effect >= 0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """The map as plain lists and texts, ready for strict JSON; `from_dict` is its inverse."""
        return {
            "method": self.method,
            "judge": list(self.judge),
            "label": self.label,
            "categories": list(self.categories),
            "group": self.group,
            "effect": self.effect,
            "effect_levels": list(self.effect_levels),
            "level": self.level,
            "notes": list(self.notes),
            "fitted": self.fitted.to_dict(),
            "fold_maps": [one.to_dict() for one in self.fold_maps],
            "out_of_fold": {str(name): column.tolist() for name, column in self.out_of_fold.items()},
            "first_division": self.first_division.tolist(),
            "provenance": self.provenance.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The map that `to_dict` wrote.

        Raises:
            DataError: The record is incomplete.
        """
        try:
            return cls(
                record["method"],
                tuple(record["judge"]),
                record["label"],
                tuple(record["categories"]),
                group=record["group"],
                effect=record["effect"],
                effect_levels=tuple(record["effect_levels"]),
                level=record["level"],
                notes=tuple(record["notes"]),
                fitted=map_from_dict(record["method"], record["fitted"]),
                fold_maps=tuple(map_from_dict(record["method"], one) for one in record["fold_maps"]),
                out_of_fold=pd.DataFrame(record["out_of_fold"]),
                first_division=np.array(record["first_division"], np.float64),
                provenance=Provenance.from_dict(record["provenance"]),
            )
        except KeyError as error:
            raise DataError(f"CalibrationMap: the record has no {error}, only {listing(record, shown=20)}.") from error

    def __str__(self) -> str:
        groups = self.out_of_fold["group"].nunique()
        lines = [
            f"{self.method} map from {listing(self.judge)} to {self.label!r} in {len(self.categories)} categories",
            f"  {counted(len(self.out_of_fold), 'label')} of {counted(groups, self.group or 'row')}",
        ]
        if isinstance(self.fitted, CumulativeMap) and self.effect:
            lines.append(f"  sd of {self.effect}: {self.fitted.effect_sd:.2f} logits")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
