"""What every page reads of a fit, whatever was fitted."""

from __future__ import annotations

from typing import Protocol

from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.estimation.fit import Fit
from psymetric.models.base import Label

__all__ = ["Fitted", "Table"]

Table = ResponseTable | PairTable | RankingTable


class Fitted(Protocol):
    """A fit beside its table."""

    @property
    def label(self) -> Label | None:
        """Which of several it is; None where it stands alone."""
        ...

    @property
    def fit(self) -> Fit:
        """The fit."""
        ...

    @property
    def table(self) -> Table:
        """What it was fitted to."""
        ...

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        ...
