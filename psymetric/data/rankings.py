"""Rankings in long format: one row per item that was shown in a ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data import files, notes, ranking_frames, storage
from psymetric.data.coding import Label, code_labels, drop_unused, label_array
from psymetric.data.columns import code_weights, facet_names, pick_columns
from psymetric.data.messages import counted
from psymetric.data.missing import read_reasons
from psymetric.data.ranking_rows import BEST_WORST, Rankings, check_rankings, closed_up, counts, read_places, tell_apart
from psymetric.data.table import CodedTable
from psymetric.errors import DataError

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

__all__ = ["RankingTable"]


@dataclass(frozen=True, eq=False, repr=False)
class RankingTable(CodedTable):
    """Rankings of two and more items, best first, with ties, and choices of the best and the worst of a set.

    A ranking is one task in one combination of judge and further facets, and a row is one item that was shown in it.
    Three cases are told apart:

    * an item with a rank: it stands above every item of a higher rank and is tied with those of the same one;
    * an item with a row and **no rank** was shown and not ranked: below all ranked items of its ranking, and in no
      known order with the other unranked ones (the rest of a top-3);
    * an item with **no row** was not shown: the ranking says nothing about it (a ranking of some of the items).

    `codes` holds `task`, `item` and every further facet. `categories` are the places as texts and last "unranked", or
    ("best", "neither", "worst") for best-worst choices. A row's weight is that of its whole ranking. A ranking in which
    no item has a rank is a non-response, and its rows are in `missing`. See `CodedTable` for the rest.
    """

    required: ClassVar[tuple[str, ...]] = ("task", "item")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_rankings(self)

    @staticmethod
    @override
    def level_of(code: str) -> str:
        """Every code indexes the levels of its own name."""
        return code

    @property
    def is_best_worst(self) -> bool:
        """Whether the rows are choices of a best and a worst item."""
        return self.categories == BEST_WORST

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """Number of each row's ranking, shape (rows,)."""
        return tell_apart(self.codes)

    @cached_property
    def rankings(self) -> Rankings:
        """The rankings as rows, each with its items best first."""
        return Rankings.of(self)

    @cached_property
    def tied(self) -> NDArray[np.bool_]:
        """Whether two ranked items share a place, by ranking, shape (rankings,); never in best-worst choices."""
        category, last = self.rankings.category, len(self.categories) - 1
        same = (category[:, 1:] == category[:, :-1]) & (category[:, 1:] >= 0) & (category[:, 1:] < last)
        return np.any(same, axis=1) & (not self.is_best_worst)

    @classmethod
    def from_frame(
        cls,
        df: IntoFrame,
        *,
        task: str = "task",
        item: str = "item",
        rank: str = "rank",
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """Code a long frame, one row per item shown.

        Args:
            df: A pandas, Polars or Arrow table, or anything else narwhals reads.
            task: Column of what was ranked under: a prompt, a race, a ballot.
            item: Column of the items.
            rank: Column of numbers, lowest best, equal where tied; gaps do not matter. Empty, or "unranked": shown and
                not ranked. Or the words "best", "neither" and "worst".
            judge: Column of who ranked; the facet is called `judge` whatever the column's name.
            facets: Columns of anything else about a ranking. They keep their names.
            weight: Column of how many rankings this one stands for, 0 or more, the same in all its rows.
            reason: Column that names why a ranking has no rank at all, a `NonResponse` value; `missing` where empty.

        Returns:
            The table. Rankings without any rank go to `missing`, never into the arrays.

        Raises:
            DataError: Anything that cannot be measured; the message counts the rows, names the first and says the mend.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"task": [1, 1, 1, 2, 2], "item": ["x", "y", "z", "y", "x"], "rank": [1, 2, 2, 1, 2]})
            >>> RankingTable.from_frame(df)
            RankingTable(5 rows; task 2 × item 3; 3 categories)
        """
        who = cls.__name__
        own = _own_facets(judge, facets, who=who)
        given = {"weight": weight, "reason": reason}
        optional = {role: column for role, column in given.items() if column is not None}
        roles = {"task": task, "item": item, **own, "rank": rank, **optional}
        picked = pick_columns(df, roles, who=who)
        coded = {name: code_labels(picked[name], who=who, column=roles[name]) for name in ("task", "item", *own)}
        codes, levels = {name: pair[0] for name, pair in coded.items()}, {name: pair[1] for name, pair in coded.items()}
        response, categories = read_places(picked["rank"], tell_apart(codes), who=who, column=rank)
        observed = response >= 0
        reasons = read_reasons(picked.get("reason"), observed, who=who, column=reason or "reason", response=rank)
        lost = {name: label_array(levels[name], code[~observed]) for name, code in codes.items()}
        kept, used = drop_unused({name: code[observed] for name, code in codes.items()}, levels, cls.level_of)
        table = cls(
            codes=kept,
            levels=used,
            response=response[observed],
            categories=categories,
            weight=code_weights(picked.get("weight"), observed, who=who, column=weight or "weight"),
            missing=pd.DataFrame({**lost, "reason": pd.Series(reasons, dtype="str")}),
            columns={"response" if role == "rank" else role: column for role, column in roles.items()},
        )
        return table.noted()

    @classmethod
    def from_orderings(
        cls,
        df: IntoFrame,
        *,
        places: Sequence[str],
        shown: Sequence[Label] | None = None,
        task: str | None = None,
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
    ) -> Self:
        """Code a wide frame, one row per ranking with its items in the columns `places`, best first.

        Args:
            df: As in `from_frame`.
            places: Columns of the first item, the second, and so on. Empty cells may only follow the last item.
            shown: All items, if every ranking chose from them: those that a row leaves out are then below the rest.
                None: what a row leaves out was not shown.
            task: Column of what was ranked under; the number of the row, from 0, without one.
            judge: As in `from_frame`.
            facets: As in `from_frame`.
            weight: As in `from_frame`.

        Raises:
            DataError: As in `from_frame`, an empty cell before a filled one, or an item that is not in `shown`.
        """
        own = _own_facets(judge, facets, who=cls.__name__)
        long = ranking_frames.from_orderings(
            df, places=places, shown=shown, task=task, own=own, weight=weight, who=cls.__name__
        )
        return cls._from_long(long, own, weight)

    @classmethod
    def from_scores(
        cls,
        df: IntoFrame,
        *,
        score: str,
        task: str = "task",
        item: str = "item",
        best: Literal["highest", "lowest"] = "highest",
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
    ) -> Self:
        """Rank the items of every list by the scores it gave them; equal scores are ties.

        Only the order is kept, so that judges who use the scale differently can be joined. A row without a score is a
        non-response and its item no part of the ranking; a list of fewer than two scores says nothing and is left out,
        with a note.

        Args:
            df: One row per item of a list.
            score: Column of numbers.
            task: Column of the list.
            item: Column of the items.
            best: Which end of the scores is best.
            judge: As in `from_frame`.
            facets: As in `from_frame`.
            weight: As in `from_frame`.

        Raises:
            DataError: A score that is no number, no list of two scores, or as in `from_frame`.
        """
        if best not in ("highest", "lowest"):
            raise DataError(f'{cls.__name__}: best={best!r} is not known; use "highest" or "lowest".')
        own = _own_facets(judge, facets, who=cls.__name__)
        long, lost, why = ranking_frames.from_scores(
            df, score=score, task=task, item=item, best=best, own=own, weight=weight, who=cls.__name__
        )
        table = cls._from_long(long, own, weight)
        if not len(lost):
            return table.noted(*why)
        fields = {name: getattr(table, name) for name in ("codes", "levels", "response", "categories", "weight")}
        return cls(**fields, missing=lost[[*table.codes, "reason"]], columns=table.columns).noted(*why)

    @classmethod
    def best_worst(
        cls,
        df: IntoFrame,
        *,
        shown: Sequence[str],
        best: str | None = None,
        worst: str | None = None,
        task: str | None = None,
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
    ) -> Self:
        """Code a wide frame of best-worst choices, one row per set.

        Args:
            df: As in `from_frame`.
            shown: Columns of the items of a set; empty cells where a set is smaller.
            best: Column of the item chosen as best, or None where only worst ones were asked for.
            worst: Column of the item chosen as worst, or None. A row with neither choice is a non-response.
            task: Column of the set; the number of the row, from 0, without one.
            judge: As in `from_frame`.
            facets: As in `from_frame`.
            weight: As in `from_frame`.

        Raises:
            DataError: One item both best and worst, a chosen item that was not shown, or as in `from_frame`.
        """
        own = _own_facets(judge, facets, who=cls.__name__)
        long = ranking_frames.best_worst(
            df, shown=shown, best=best, worst=worst, task=task, own=own, weight=weight, who=cls.__name__
        )
        return cls._from_long(long, own, weight)

    @classmethod
    def _from_long(cls, long: pd.DataFrame, own: dict[str, str], weight: str | None) -> Self:
        facets = tuple(name for name in own if name != "judge")
        judge, weights = ("judge" if "judge" in own else None), ("weight" if weight is not None else None)
        return cls.from_frame(long, judge=judge, facets=facets, weight=weights)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        task: str | None = None,
        item: str | None = None,
        rank: str | None = None,
        judge: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """Read a table from `.parquet`, `.csv`, `.tsv` or `.jsonl` (text also with `.gz`).

        The keywords are those of `from_frame`. A Parquet file that `write` made needs none of them.

        Raises:
            DataError: The file cannot be read, or what `from_frame` raises.
        """
        who = cls.__name__
        found = files.read_frame(Path(path), answers=[name for name in (rank, weight, reason) if name], who=who)
        if task is None and item is None and rank is None:
            needed = "task=, item= and rank="
            return cls(**storage.fields_from_file(found, who=who, level_of=cls.level_of, needed=needed))
        if task is None or item is None or rank is None:
            raise DataError(f"{who}: {path} was given with only some of task=, item= and rank=; name all three.")
        return cls.from_frame(
            found.frame, task=task, item=item, rank=rank, judge=judge, facets=facets, weight=weight, reason=reason
        )

    def counts(self, facet: str) -> pd.DataFrame:
        """Rankings per level of a facet; of an item also how it did.

        Returns:
            One row per level: `level`, `n` (rankings), `weight` (their sum), `missing` (rankings without a rank). For
            `item` also weights: of rankings `first` (tied firsts count) and `unranked`; of best-worst choices `best`,
            `worst` and `score`, (best - worst) / weight, the counting score that a fit should roughly order items by.
        """
        return counts(self, self._checked_facet(facet), self._labels_in_missing(facet))

    @override
    def _take(self, rows: NDArray[np.intp], lost: NDArray[np.intp], which: str) -> Self:
        """Rankings that keep fewer than two items, or no ranked one, say nothing and are left out."""
        owner, n_all = self.ranking[rows], int(self.ranking.max()) + 1
        if self.is_best_worst:
            if np.any((np.bincount(owner, minlength=n_all) % np.bincount(self.ranking)) != 0):
                raise DataError(
                    f"{type(self).__name__}: a best-worst choice is from all that was shown and cannot be cut to "
                    f"{which}; select tasks, judges or other facets."
                )
            return super()._take(rows, lost, which)
        last = len(self.categories) - 1
        ranked = np.bincount(owner, self.response[rows] < last, minlength=n_all)
        says = (np.bincount(owner, minlength=n_all) >= 2) & (ranked >= 1)
        rows = rows[says[owner]]
        if not rows.size:
            raise DataError(f"{type(self).__name__}: no ranking keeps two items with {which}; select other levels.")
        response = closed_up(self.response[rows], self.ranking[rows], last)
        codes, levels = drop_unused({n: code[rows] for n, code in self.codes.items()}, self.levels, self.level_of)
        part = type(self)(
            codes=codes,
            levels=levels,
            response=response,
            categories=self.categories,
            weight=self.weight[rows],
            missing=self.missing.iloc[lost].reset_index(drop=True),
            columns=self.columns,
        )
        return part.noted(f"The rows with {which}: {rows.size:,} of {counted(self.n_rows, 'row')} with a response.")

    @override
    def _observations(self) -> Iterator[str]:
        if not self.is_best_worst and int(self.response.max()) == 0:
            yield "Every ranking is one tie of all its items; no item can be told from another."
        owners = {name: name for name in self.codes if name != "task"}
        levels = {name: labels for name, labels in self.levels.items() if name != "task"}
        yield from notes.missing_notes(self.missing, self.n_rows)
        yield from notes.facet_notes(levels, self.missing, owners, self.dimension)
        yield from notes.weight_note(self.weight)


def _own_facets(judge: str | None, facets: str | Sequence[str], *, who: str) -> dict[str, str]:
    """Canonical name -> column of everything that tells rankings apart beside the task."""
    names = facet_names(facets, who=who)
    if judge is not None and "judge" in names:
        raise DataError(f"{who}: 'judge' is given by judge= and again in facets=; name it once.")
    if taken := {"task", "rank", "score"} & set(names):
        raise DataError(f"{who}: facet {min(taken)!r} carries a name that rankings use themselves; rename the column.")
    return ({} if judge is None else {"judge": judge}) | {name: name for name in names}
