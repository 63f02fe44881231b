"""Options of `psymetric fit` that are about comparisons, and the model they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.pairs import PairTable
    from psymetric.models.bradley_terry import BradleyTerry
    from psymetric.models.tie_rules import TieRule

__all__ = ["Comparisons", "read_meanings"]

_RULES: Final[Mapping[str, TieRule | None]] = {
    "davidson": "davidson",
    "rao_kupper": "rao_kupper",
    "half": None,
    "none": None,
}
_MEANINGS: Final = {"left": "left", "right": "right", "tie": "tie", "none": None}
_COMMON, _NONE = "common", "none"


@final
@dataclass(frozen=True)
class Comparisons:
    """What the options say; empty where they were left out.

    Attributes:
        meanings: What labels of the outcome column mean.
        ties: Rule for ties.
        position: "common", "none", or the facet whose levels have their own effect.
        slopes: Facets whose levels differ in discrimination.
        contest: Columns of what left has more than right.
    """

    meanings: dict[str | float, str | None]
    ties: str
    position: str
    slopes: tuple[str, ...]
    contest: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.ties and self.ties not in _RULES:
            raise DataError(f"--ties {self.ties} is not known; use one of {', '.join(_RULES)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that these options name."""
        own = () if self.position in ("", _COMMON, _NONE) else (self.position,)
        return tuple(dict.fromkeys((*own, *self.slopes, *self.contest)))

    @property
    def given(self) -> dict[str, object]:
        """What was given by option; empty where it was left out."""
        return {
            "--map": self.meanings,
            "--ties": self.ties,
            "--position": self.position,
            "--slopes": self.slopes,
            "--contest": self.contest,
        }

    def refuse_ratings(self) -> None:
        """Raise DataError where an option was given: ratings have no use for it."""
        if named := [name for name, value in self.given.items() if value]:
            raise DataError(
                f"{' and '.join(named)}: for comparisons, and the file was read as ratings; add --pairs if it holds "
                "comparisons"
            )

    def model(self, table: PairTable, *, shown: bool, random: Sequence[str]) -> tuple[PairTable, BradleyTerry]:
        """The table to fit, with ties as half wins where that was asked for, and the model.

        Args:
            table: Comparisons.
            shown: Whether left is the item shown first, so that a position effect means something.
            random: Facets whose levels are a sample.
        """
        from psymetric.models.bradley_terry import BradleyTerry
        from psymetric.workflow import tie_rule

        if self.ties == "half":
            table = table.ties_as_half_wins()
        position = self.position or (_COMMON if shown else _NONE)
        model = BradleyTerry(
            ties=_RULES[self.ties] if self.ties else tie_rule(table),
            position=None if position == _NONE else position,
            slopes=self.slopes,
            contest=self.contest,
            random=tuple(random),
        )
        return table, model


def read_meanings(texts: Sequence[str]) -> dict[str | float, str | None]:
    """Label -> meaning, from texts such as `model_a=left` or `tie (bothbad)=none`.

    Raises:
        DataError: A text is not of this form, a meaning is unknown, or a label has two.
    """
    found: dict[str | float, str | None] = {}
    for text in texts:
        label, equals, meaning = text.rpartition("=")
        if not equals or not label or meaning not in _MEANINGS:
            raise DataError(f"--map {text!r} is not of the form label=meaning, meaning {', '.join(_MEANINGS)}")
        if label in found:
            raise DataError(f"--map gives {label!r} two meanings; give it one")
        found[label] = _MEANINGS[meaning]
        if (number := _number(label)) is not None:
            found[number] = _MEANINGS[meaning]
    return found


def _number(label: str) -> float | None:
    """The number that a file holds where its label looks like this."""
    try:
        return float(label)
    except ValueError:
        return None
