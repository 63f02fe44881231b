"""Paired comparisons in long format: one row per judgement of two items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data import files, notes, storage
from psymetric.data.coding import Label, code_labels, drop_unused, kinds_of, label_array
from psymetric.data.columns import code_weights, facet_names, pick_columns
from psymetric.data.messages import row_error
from psymetric.data.missing import read_reasons
from psymetric.data.outcomes import OUTCOMES, code_outcomes
from psymetric.data.table import CodedTable
from psymetric.errors import DataError

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

__all__ = ["PairTable"]


@dataclass(frozen=True, eq=False, repr=False)
class PairTable(CodedTable):
    r"""Comparisons of two items, each won by the left one, by the right one, or tied.

    Row r compares items $a_r$ (left) and $b_r$ (right) with outcome 0 = left wins, 1 = right wins, 2 = tie. A model
    gives the probability of each outcome from the codes; given its parameters the rows are independent, and a row of
    weight w counts as w comparisons. `left` is the item shown first wherever order matters, so that a position effect
    has a sign.

    `codes` holds `left` and `right`, which both index `levels["item"]`, and every further facet; `categories` is always
    `("left", "right", "tie")`. See `CodedTable` for the rest.
    """

    required: ClassVar[tuple[str, ...]] = ("left", "right")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories != OUTCOMES:
            raise DataError(f"PairTable: categories are {self.categories!r}; they must be {OUTCOMES!r}.")
        same = self.codes["left"] == self.codes["right"]
        if same.any():
            _refuse_self_comparison(same, label_array(self.levels["item"], self.codes["left"][same]))

    @staticmethod
    @override
    def level_of(code: str) -> str:
        """`left` and `right` index the levels of `item`, other codes those of their own name."""
        return "item" if code in ("left", "right") else code

    @classmethod
    def from_frame(
        cls,
        df: IntoFrame,
        *,
        left: str,
        right: str,
        outcome: str,
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        outcomes: Mapping[Any, str | None] | None = None,
        reason: str | None = None,
    ) -> Self:
        """Code a long frame, one row per comparison.

        Args:
            df: A pandas, Polars or Arrow table, or anything else narwhals reads.
            left: Column of the first item: the one shown first, at home, or just named first.
            right: Column of the second item.
            outcome: Column of the result: `left`, `right` or `tie`, or the label of the row's winner. An empty cell is
                a non-response.
            judge: Column of who compared; the facet is called `judge` whatever the column's name.
            facets: Columns of anything else about a comparison. They keep their names.
            weight: Column of how many comparisons a row stands for, 0 or more.
            outcomes: What other labels in `outcome` mean: label -> `"left"`, `"right"`, `"tie"`, or None for a
                non-response. Comes before every other reading of a label.
            reason: Column that names why a row has no outcome, a `NonResponse` value; `missing` where it is empty.

        Returns:
            The table. Rows without an outcome go to `missing`, never into the arrays.

        Raises:
            DataError: Anything that cannot be measured; the message counts the rows, names the first and says the mend.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"a": ["x", "y", "x"], "b": ["y", "z", "z"], "winner": ["x", "tie", "right"]})
            >>> PairTable.from_frame(df, left="a", right="b", outcome="winner")
            PairTable(3 rows; item 3; 3 categories)
        """
        who = cls.__name__
        names = facet_names(facets, who=who)
        if judge is not None and "judge" in names:
            raise DataError(f"{who}: 'judge' is given by judge= and again in facets=; name it once.")
        own = ({} if judge is None else {"judge": judge}) | {name: name for name in names}
        given = {"weight": weight, "reason": reason}
        optional = {role: column for role, column in given.items() if column is not None}
        roles = {"left": left, "right": right, **own, "outcome": outcome, **optional}
        picked = pick_columns(df, roles, who=who)
        codes, levels = _code_pairs(picked, roles, own, who=who)
        response, why = code_outcomes(
            picked["outcome"], codes["left"], codes["right"], levels["item"], outcomes=outcomes, who=who, column=outcome
        )
        observed = response >= 0
        reasons = read_reasons(picked.get("reason"), observed, who=who, column=reason or "reason", response=outcome)
        lost = {name: label_array(levels[cls.level_of(name)], code[~observed]) for name, code in codes.items()}
        kept, used = drop_unused({name: code[observed] for name, code in codes.items()}, levels, cls.level_of)
        table = cls(
            codes=kept,
            levels=used,
            response=response[observed],
            categories=OUTCOMES,
            weight=code_weights(picked.get("weight"), observed, who=who, column=weight or "weight"),
            missing=pd.DataFrame({**lost, "reason": pd.Series(reasons, dtype="str")}),
            columns={"response" if role == "outcome" else role: column for role, column in roles.items()},
        )
        return table.noted(*why)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        left: str | None = None,
        right: str | None = None,
        outcome: str | None = None,
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        outcomes: Mapping[Any, str | None] | None = None,
        reason: str | None = None,
    ) -> Self:
        """Read a table from `.parquet`, `.csv`, `.tsv` or `.jsonl` (text also with `.gz`).

        The keywords are those of `from_frame`. A Parquet file that `write` made needs none of them.

        Raises:
            DataError: The file cannot be read, or what `from_frame` raises.
        """
        who = cls.__name__
        found = files.read_frame(Path(path), answers=[name for name in (outcome, weight, reason) if name], who=who)
        if left is None and right is None and outcome is None:
            needed = "left=, right= and outcome="
            return cls(**storage.fields_from_file(found, who=who, level_of=cls.level_of, needed=needed))
        if left is None or right is None or outcome is None:
            raise DataError(f"{who}: {path} was given with only some of left=, right= and outcome=; name all three.")
        return cls.from_frame(
            found.frame,
            left=left,
            right=right,
            outcome=outcome,
            judge=judge,
            facets=facets,
            weight=weight,
            outcomes=outcomes,
            reason=reason,
        )

    def counts(self, facet: str) -> pd.DataFrame:
        """Comparisons per level of a facet.

        Returns:
            One row per level, those without any outcome last: `level`, `n` (rows), `weight` (their sum), `missing`
            (rows without an outcome), and weights by result: for `item` its `wins`, `losses` and `ties`, for other
            facets `left`, `right` and `tie`.
        """
        labels = self.levels[self._checked_facet(facet)]
        owners = [name for name in self.codes if self.level_of(name) == facet]
        silent = [label for label in self._labels_in_missing(facet) if label not in set(labels)]
        every = [*labels, *silent]

        def total(outcome: int | None, name: str) -> NDArray[np.float64]:
            weight = self.weight if outcome is None else np.where(self.response == outcome, self.weight, 0.0)
            return np.bincount(self.codes[name], weights=weight, minlength=len(every)).astype(np.float64)

        lost = pd.concat([self.missing[name] for name in owners]).value_counts()
        frame = {
            "level": every,
            "n": sum(np.bincount(self.codes[name], minlength=len(every)) for name in owners),
            "weight": sum(total(None, name) for name in owners),
            "missing": lost.reindex(every, fill_value=0).to_numpy(dtype=np.int64),
        }
        if facet == "item":
            frame["wins"] = total(0, "left") + total(1, "right")
            frame["losses"] = total(1, "left") + total(0, "right")
            frame["ties"] = total(2, "left") + total(2, "right")
        else:
            frame |= {str(label): total(code, facet) for code, label in enumerate(OUTCOMES)}
        return pd.DataFrame(frame)

    @override
    def _observations(self) -> Iterator[str]:
        used = np.bincount(self.response, weights=self.weight, minlength=3) > 0
        if used.sum() == 1 and not used[2]:
            side = OUTCOMES[int(np.argmax(used))]
            yield f"The {side} item won every comparison, so an effect of position cannot be told from the items."
        elif used.sum() == 1:
            yield "Every comparison is a tie; no item can be told from another."
        owners = {name: self.level_of(name) for name in self.codes}
        yield from notes.missing_notes(self.missing, self.n_rows)
        yield from notes.facet_notes(self.levels, self.missing, owners, self.dimension)
        yield from notes.weight_note(self.weight)


def _code_pairs(
    picked: pd.DataFrame, roles: Mapping[str, str], further: Iterable[str], *, who: str
) -> tuple[dict[str, NDArray[np.int32]], dict[str, tuple[Label, ...]]]:
    """Codes of both items over one set of levels, and of the further facets."""
    sides = {side: code_labels(picked[side], who=who, column=roles[side]) for side in ("left", "right")}
    kinds = {side: kinds_of(labels) for side, (_, labels) in sides.items()}
    if kinds["left"] != kinds["right"]:
        found = " and ".join(f"{roles[side]!r} holds {', '.join(kind)}" for side, kind in kinds.items())
        raise DataError(f"{who}: {found} labels, so no item is on both sides; give both columns one type.")
    names = pd.Series([*sides["left"][1], *sides["right"][1]], dtype=object)
    joint, items = code_labels(names.infer_objects(), who=who, column=roles["left"])
    first = len(sides["left"][1])
    codes = {"left": joint[:first][sides["left"][0]], "right": joint[first:][sides["right"][0]]}
    same = codes["left"] == codes["right"]
    if same.any():
        _refuse_self_comparison(same, label_array(items, codes["left"][same]))
    levels: dict[str, tuple[Label, ...]] = {"item": items}
    for name in further:
        codes[name], levels[name] = code_labels(picked[name], who=who, column=roles[name])
    return codes, levels


def _refuse_self_comparison(same: NDArray[np.bool_], items: pd.Index[Any]) -> None:
    """An item compared with itself says nothing about any item."""
    fix = "drop these rows: they say nothing about either item"
    raise row_error("PairTable", "items are compared with themselves", same, items.tolist(), fix)
