"""What the page of a calibration to people reads: the estimates, and what else was found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import pandas as pd

from psymetric.calibration.alternative_annotator import AlternativeAnnotatorTest
from psymetric.calibration.calibrated import CalibratedEstimate
from psymetric.calibration.human_ceiling import HumanCeiling
from psymetric.calibration.judge_errors import are_probabilities
from psymetric.calibration.judged_rows import JudgedRows
from psymetric.calibration.quality import CalibrationQuality, calibration_quality
from psymetric.calibration.reliability_diagram import ReliabilityDiagram, reliability_diagram
from psymetric.reporting.rounding import plain

__all__ = ["CalibrationEvidence"]

_RAW = "the judge's own"


@final
@dataclass(frozen=True)
class CalibrationEvidence:
    """Calibrated estimates and the results beside them.

    Attributes:
        found: The estimates, with the rows they are from.
        quality: How good probabilities are, by what gave them.
        reliability: Reliability diagrams, by what gave them.
        people: Alternative-annotator test, or None.
        ceiling: Human ceiling, or None.
        send: Rows to send to a person, or None.
    """

    found: CalibratedEstimate
    quality: Mapping[str, CalibrationQuality]
    reliability: Mapping[str, ReliabilityDiagram]
    people: AlternativeAnnotatorTest | None
    ceiling: HumanCeiling | None
    send: pd.DataFrame | None

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        return self.found.level

    def column(self, role: str) -> str | None:
        """The user's column with a role, or None."""
        return self.found.provenance.settings.get(role)

    @property
    def role(self) -> str:
        """What tells groups of rows apart: `system`, else `by`."""
        return "system" if self.column("system") else "by"

    @property
    def groups(self) -> list[str]:
        """Columns of the frame of estimates that name what each is of."""
        columns = [str(name) for name in self.found.frame.columns]
        return columns[: columns.index("estimate")]

    @property
    def known(self) -> pd.DataFrame:
        """The estimates that could be made."""
        return self.found.frame[self.found.frame["estimate"].notna()]

    @cached_property
    def rows(self) -> JudgedRows:
        """The rows of the systems that were asked about."""
        rows, chosen = self.found.rows, self.found.provenance.settings.get("systems")
        if chosen is None:
            return rows
        place = [code for code, level in enumerate(rows.levels["system"]) if level in chosen]
        return rows.take(np.isin(rows.codes["system"], place))

    @cached_property
    def scored(self) -> tuple[Mapping[str, CalibrationQuality], Mapping[str, ReliabilityDiagram]]:
        """Quality and reliability as given; of the verdicts themselves where nothing was and they are probabilities."""
        if self.quality or self.reliability or not are_probabilities(self.rows):
            return self.quality, self.reliability
        rows = self.rows.take(self.rows.known)
        frame = pd.DataFrame({"label": rows.label.astype(np.int64), "verdict": rows.judge})
        frame["cluster"] = np.arange(len(frame)) if rows.cluster is None else rows.cluster
        if frame["cluster"].nunique() < 2:
            return self.quality, self.reliability
        quality = calibration_quality(
            frame, label="label", probabilities="verdict", categories=(0, 1), group="cluster", level=self.level
        )
        diagram = reliability_diagram(
            frame, label="label", probabilities="verdict", categories=(0, 1), level=self.level
        )
        return {_RAW: quality}, {_RAW: diagram}

    def value(self, number: float) -> str:
        """A verdict or label as the user wrote it, where that is known."""
        given: Mapping[object, float] = self.found.provenance.settings.get("values", {})
        names = [name for name, value in given.items() if value == number]
        return plain(names[0], 24) if len(names) == 1 else f"{number:g}"
