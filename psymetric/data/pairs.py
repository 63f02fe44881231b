"""Paired comparisons in long format: one row per judgement of two items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data import files, notes, storage
from psymetric.data.attributes import code_attributes, refuse_side_names
from psymetric.data.coding import SIDES, Label, code_labels, code_names, drop_unused, kinds_of, label_array, picked_rows
from psymetric.data.columns import code_weights, facet_names, pick_columns
from psymetric.data.messages import counted, row_error
from psymetric.data.met import Met
from psymetric.data.missing import read_reasons
from psymetric.data.outcomes import OUTCOMES, code_outcomes
from psymetric.data.table import CodedTable
from psymetric.errors import DataError

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

__all__ = ["PairTable"]

_TIE = 2


@dataclass(frozen=True, eq=False, repr=False)
class PairTable(CodedTable):
    r"""Comparisons of two items, each won by the left one, by the right one, or tied.

    Row r compares items $a_r$ (left) and $b_r$ (right) with outcome 0 = left wins, 1 = right wins, 2 = tie. A model
    gives the probability of each outcome from the codes; given its parameters the rows are independent, and a row of
    weight w counts as w comparisons. `left` is the item shown first wherever order matters, so that a position effect
    has a sign.

    `codes` holds `left` and `right`, which both index `levels["item"]`, every further facet, and for each attribute of
    the items `left.<name>` and `right.<name>`, which index `levels[<name>]`; `categories` is always
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
        """`left` and `right` index the levels of `item`, `left.<name>` those of `name`, others those of their own."""
        side, dot, name = code.partition(".")
        return code if side not in SIDES else name if dot else "item"

    @cached_property
    def met(self) -> Met:
        """The comparisons added up by their two items and the result, all other facets left aside."""
        return Met.of(self.codes["left"], self.codes["right"], self.response, self.weight, len(self.levels["item"]))

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
        items: IntoFrame | None = None,
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
            items: What is known of the items: a frame of one row each, with their labels in a column `item` or in the
                index. Every other column is an attribute, coded as `left.<name>` and `right.<name>`.

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
        refuse_side_names(names, who=who)
        if judge is not None and "judge" in names:
            raise DataError(f"{who}: 'judge' is given by judge= and again in facets=; name it once.")
        own = ({} if judge is None else {"judge": judge}) | {name: name for name in names}
        given = {"weight": weight, "reason": reason}
        optional = {role: column for role, column in given.items() if column is not None}
        roles = {"left": left, "right": right, **own, "outcome": outcome, **optional}
        picked = pick_columns(df, roles, who=who)
        codes, levels = _code_pairs(picked, roles, own, who=who)
        aside: tuple[str, ...] = ()
        if items is not None:
            known = code_attributes(items, levels["item"], taken=own, who=who, column=left)
            codes, levels, aside = codes | known.on_sides(codes), levels | dict(known.levels), known.notes
        response, why = code_outcomes(
            picked["outcome"], codes["left"], codes["right"], levels["item"], outcomes=outcomes, who=who, column=outcome
        )
        observed = response >= 0
        reasons = read_reasons(picked.get("reason"), observed, who=who, column=reason or "reason", response=outcome)
        lost = {name: label_array(levels[cls.level_of(name)], code[~observed]) for name, code in codes.items()}
        kept, used = drop_unused(picked_rows(codes, observed), levels, cls.level_of)
        table = cls(
            codes=kept,
            levels=used,
            response=picked_rows({"response": response}, observed)["response"],
            categories=OUTCOMES,
            weight=code_weights(picked.get("weight"), observed, who=who, column=weight or "weight"),
            missing=pd.DataFrame({**lost, "reason": pd.Series(reasons, dtype="str")}),
            columns={"response" if role == "outcome" else role: column for role, column in roles.items()},
        )
        return table.noted(*why, *aside)

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
        items: IntoFrame | None = None,
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
            items=items,
        )

    def ties_as_half_wins(self) -> Self:
        """The table with every tie as two rows of half its weight, one that the left item won and one the right.

        A quasi-likelihood: no model of comparisons gives such rows their probability, worths shrink as ties grow more
        frequent, and likelihood ratios and criteria such as AIC mean nothing. A note says so in every fit. Prefer a
        model of ties (`BradleyTerry(ties=...)`). The halves of a tie share a level of the new facet `comparison`, so
        that `robust_errors` takes them for one observation; it counts a row of weight w as one comparison then, so that
        its errors need one row per comparison.

        Raises:
            DataError: No comparison is a tie, or they are halved already.
        """
        who = type(self).__name__
        tied = self.response == _TIE
        if "comparison" in self.codes or not tied.any():
            why = "are half wins already" if "comparison" in self.codes else "do not occur"
            raise DataError(f"{who}: ties {why}; use the table as it is.")
        rows = np.repeat(np.arange(self.n_rows), 1 + tied)
        again = np.flatnonzero(np.diff(rows, prepend=-1) == 0)
        response = self.response[rows].copy()
        response[again], response[again - 1] = 1, 0
        whole = replace(
            self,
            codes={name: code[rows] for name, code in self.codes.items()} | {"comparison": rows.astype(np.int32)},
            levels={**self.levels, "comparison": tuple(range(1, self.n_rows + 1))},
            response=response,
            weight=self.weight[rows] / np.where(tied, 2, 1)[rows],
            missing=self.missing.assign(comparison=0),
        )
        return whole.noted(*(note for note in self.notes if note not in set(self._observations())))

    def counts(self, facet: str) -> pd.DataFrame:
        """Comparisons per level of a facet.

        Returns:
            One row per level, those without any outcome last: `level`, `n` (rows), `weight` (their sum), `missing`
            (rows without an outcome), and weights by result: for `item` and its attributes `wins`, `losses` and
            `ties`, for other facets `left`, `right` and `tie`.
        """
        labels = self.levels[self._checked_facet(facet)]
        owners = code_names(self.codes, facet)
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
        if len(owners) == len(SIDES):
            left, right = owners
            frame["wins"] = total(0, left) + total(1, right)
            frame["losses"] = total(1, left) + total(0, right)
            frame["ties"] = total(2, left) + total(2, right)
        else:
            frame |= {str(label): total(code, facet) for code, label in enumerate(OUTCOMES)}
        return pd.DataFrame(frame)

    @override
    def _observations(self) -> Iterator[str]:
        used = self.met.count.sum(axis=0) > 0
        if used.sum() == 1 and not used[2]:
            side = OUTCOMES[int(np.argmax(used))]
            yield f"The {side} item won every comparison, so an effect of position cannot be told from the items."
        elif used.sum() == 1:
            yield "Every comparison is a tie; no item can be told from another."
        # Non-responses have no number among the comparisons.
        owners = {name: self.level_of(name) for name in self.codes if name != "comparison"}
        yield from self._half_wins()
        yield from notes.missing_notes(self.missing, self.n_rows)
        yield from notes.facet_notes(self.levels, self.missing, owners, self.dimension)
        yield from notes.weight_note(self.weight)

    def _half_wins(self) -> Iterator[str]:
        """What a reader of ties that count as half wins must know: it follows from the rows, and so stays with them."""
        halves = int(np.count_nonzero(np.bincount(self.codes.get("comparison", self.response[:0])) > 1))
        if halves:
            yield (
                f"Quasi-likelihood: {counted(halves, 'tied row')} counted as half a win for each side. "
                "Worths shrink, and AIC and likelihood ratios mean nothing. For standard errors use "
                "robust_errors(fit, table); better, model the ties (BradleyTerry(ties=...))."
            )


def _code_pairs(
    picked: pd.DataFrame, roles: Mapping[str, str], further: Iterable[str], *, who: str
) -> tuple[dict[str, NDArray[np.int32]], dict[str, tuple[Label, ...]]]:
    """Codes of both items over one set of levels, and of the further facets."""
    sides = {side: code_labels(picked[side], who=who, column=roles[side]) for side in SIDES}
    kinds = {side: kinds_of(labels) for side, (_, labels) in sides.items()}
    if kinds["left"] != kinds["right"]:
        found = " and ".join(f"{roles[side]!r} holds {', '.join(kind)}" for side, kind in kinds.items())
        raise DataError(f"{who}: {found} labels, so no item is on both sides; give both columns one type.")
    codes, items = {side: code for side, (code, _) in sides.items()}, sides["left"][1]
    if items != sides["right"][1]:
        names = pd.Series([*items, *sides["right"][1]], dtype=object)
        first = len(items)
        joint, items = code_labels(names.infer_objects(), who=who, column=roles["left"])
        codes = {"left": joint[:first][codes["left"]], "right": joint[first:][codes["right"]]}
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
