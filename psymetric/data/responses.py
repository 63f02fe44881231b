"""Ratings and answers in long format: one row per observed response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from psymetric.data import files, notes, storage
from psymetric.data.categories import code_responses
from psymetric.data.coding import Label, code_labels, drop_unused, label_array
from psymetric.data.collapse import merged_codes, used_codes
from psymetric.data.columns import code_weights, facet_names, pick_columns
from psymetric.data.messages import counted, listing, row_error
from psymetric.data.missing import answered_rows, read_reasons
from psymetric.data.table import CodedTable
from psymetric.errors import DataError

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

__all__ = ["ResponseTable"]


@dataclass(frozen=True, eq=False, repr=False)
class ResponseTable(CodedTable):
    r"""Ratings or answers of subjects: who or what was measured, on which item, by which judge, with which result.

    Row r holds category $x_r \in \{0, \dots, K-1\}$ of subject $n_r$ under the levels of every facet. A model gives
    $P(x_r = k)$ from the codes; given its parameters the rows are independent, and a row of weight w counts as w rows.

    `codes` holds `subject`, `item` unless the table has none, and every further facet; see `CodedTable` for the rest.
    """

    required: ClassVar[tuple[str, ...]] = ("subject",)

    @staticmethod
    @override
    def level_of(code: str) -> str:
        """A code indexes the levels of its own name."""
        return code

    @classmethod
    def from_frame(
        cls,
        df: IntoFrame,
        *,
        response: str,
        subject: str,
        item: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        dimension: str | None = None,
        categories: Sequence[Label] | None = None,
        reason: str | None = None,
    ) -> Self:
        """Code a long frame, one row per response.

        Args:
            df: A pandas, Polars or Arrow table, or anything else narwhals reads.
            response: Column of the ratings or answers: whole numbers, truth values, or labels named in `categories`.
                An empty cell is a non-response.
            subject: Column of what is measured: a model, a text, a person.
            item: Column of the question or criterion.
            facets: Columns of anything else that may shift a response: judge, template, order. They keep their names.
            weight: Column of how often a row counts, 0 or more.
            dimension: Column of what a row measures (a trait); models do not use it, `split` does.
            categories: Every possible response from low to high, numbers or texts, not necessarily consecutive. By
                default every whole number from the lowest to the highest response.
            reason: Column that names why a row has no response, a `NonResponse` value; `missing` where it is empty.

        Returns:
            The table. Rows without a response go to `missing`, never into the arrays; `notes` says what was assumed.

        Raises:
            DataError: Anything that cannot be measured; the message counts the rows, names the first and says the mend.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["a", "a", "b", "b"], "by": ["x", "y"] * 2, "stars": [1, 2, 4, 5]})
            >>> ResponseTable.from_frame(df, response="stars", subject="text", facets=("by",))
            ResponseTable(4 rows; subject 2 × by 2; 5 categories)
        """
        who = cls.__name__
        own = _own_names(facets, dimension, who=who)
        given = {"item": item, "weight": weight, "reason": reason}
        optional = {role: column for role, column in given.items() if column is not None}
        roles = {"subject": subject, **optional, **own, "response": response}
        picked = pick_columns(df, roles, who=who)
        answered = answered_rows(picked["response"])
        coded = {
            name: code_labels(picked[name], who=who, column=column)
            for name, column in roles.items()
            if name in ("subject", "item", *own)
        }
        reasons = read_reasons(picked.get("reason"), answered, who=who, column=reason or "reason", response=response)
        result, labels, assumed = code_responses(
            picked["response"], answered, categories=categories, who=who, column=response
        )
        lost = {name: label_array(known, code[~answered]) for name, (code, known) in coded.items()}
        codes, levels = drop_unused(
            {name: code[answered] for name, (code, _) in coded.items()},
            {name: known for name, (_, known) in coded.items()},
            cls.level_of,
        )
        table = cls(
            codes=codes,
            levels=levels,
            response=result,
            categories=labels,
            weight=code_weights(picked.get("weight"), answered, who=who, column=weight or "weight"),
            missing=pd.DataFrame({**lost, "reason": pd.Series(reasons, dtype="str")}),
            columns=roles,
            dimension=dimension,
        )
        return table.noted(*assumed)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        response: str | None = None,
        subject: str | None = None,
        item: str | None = None,
        facets: str | Sequence[str] = (),
        weight: str | None = None,
        dimension: str | None = None,
        categories: Sequence[Label] | None = None,
        reason: str | None = None,
    ) -> Self:
        """Read a table from `.parquet`, `.csv`, `.tsv` or `.jsonl` (text also with `.gz`).

        The keywords are those of `from_frame`. A Parquet file that `write` made needs none of them.

        In text files an empty cell, `NA` and `NaN` are missing; in the response and weight columns also the other usual
        words (`null`, `None`, `n/a`).

        Raises:
            DataError: The file cannot be read, or what `from_frame` raises.
        """
        found = files.read_frame(
            Path(path), answers=[name for name in (response, weight, reason) if name], who=cls.__name__
        )
        if response is None and subject is None:
            return cls(
                **storage.fields_from_file(
                    found, who=cls.__name__, level_of=cls.level_of, needed="response= and subject="
                )
            )
        if response is None or subject is None:
            absent = "response" if response is None else "subject"
            raise DataError(f"{cls.__name__}: {path} was given without {absent}=; name that column.")
        return cls.from_frame(
            found.frame,
            response=response,
            subject=subject,
            item=item,
            facets=facets,
            weight=weight,
            dimension=dimension,
            categories=categories,
            reason=reason,
        )

    def counts(self, facet: str) -> pd.DataFrame:
        """Responses per level of a facet.

        Returns:
            One row per level, those without any response last: `level`, `n` (observed rows), `weight` (their sum) and
            `missing` (rows without a response).
        """
        codes, labels = self.codes[self._checked_facet(facet)], self.levels[facet]
        silent = [label for label in self._labels_in_missing(facet) if label not in set(labels)]
        lost = self.missing[facet].value_counts()
        every = [*labels, *silent]
        return pd.DataFrame(
            {
                "level": every,
                "n": np.bincount(codes, minlength=len(every)),
                "weight": np.bincount(codes, weights=self.weight, minlength=len(every)),
                "missing": lost.reindex(every, fill_value=0).to_numpy(dtype=np.int64),
            }
        )

    def collapse_categories(
        self, merge: Mapping[Label, Label], *, facet: str | None = None, levels: Sequence[Label] = ()
    ) -> Self:
        """The table with neighbouring categories merged, in all rows or under some levels of a facet.

        Merged in all rows, a category leaves the scale and those above it move down by one. Merged under some levels,
        such as one item whose top category is rare, it stays in the scale of the others, and those levels keep a gap
        or a shorter scale, which models with steps of their own per level take as it is.

        Args:
            merge: Category -> the neighbour it becomes part of, such as {4: 5, 1: 2}.
            facet: Facet whose `levels` alone are concerned; by default all rows are.
            levels: Its levels.

        Raises:
            DataError: An unknown category, facet or level, categories that are no neighbours, or one category left.
        """
        who = type(self).__name__
        becomes = merged_codes(self.categories, merge, who=who)
        words = ", ".join(f"{label!r} into {into!r}" for label, into in merge.items())
        chosen = np.ones(self.n_rows, bool)
        if facet is not None:
            self.select(facet, levels)  # refuses what is unknown or has no row
            wanted = {levels} if isinstance(levels, str) else set(levels)
            chosen = np.array([label in wanted for label in self.levels[facet]])[self.codes[facet]]
        moved = chosen & (becomes[self.response] != self.response)
        where = f" under {facet} {listing([levels] if isinstance(levels, str) else levels)}" if facet else ""
        note = f"Categories were merged on request{where}: {words}; {counted(int(moved.sum()), 'row')} changed."
        response, categories = np.where(chosen, becomes[self.response], self.response).astype(np.int32), self.categories
        if facet is None:
            kept = np.unique(becomes)
            response, categories = np.searchsorted(kept, response), tuple(categories[code] for code in kept.tolist())
        return replace(self, response=response, categories=categories).noted(note)

    def without_unused_categories(self) -> Self:
        """The table without the categories that no response uses; those above an unused one move down by one.

        A category that was offered and never chosen is information about the scale, and keeps its place unless this
        is called: without it, the step over it counts one point and no longer two.

        Raises:
            DataError: All responses are in one category.
        """
        codes, kept = used_codes(self.response, self.weight, self.categories, who=type(self).__name__)
        unused = [label for label in self.categories if label not in kept]
        if not unused:
            return self
        weightless = codes[self.response] < 0
        if weightless.any():
            raise row_error(
                type(self).__name__,
                "a category is used by rows of weight 0 alone",
                weightless,
                [self.categories[code] for code in self.response[weightless].tolist()],
                "leave these rows out before building the table, or merge the category into its neighbour",
            )
        note = f"Categories that nobody used were left out on request: {listing(unused)}."
        return replace(self, response=codes[self.response], categories=kept).noted(note)

    @override
    def _observations(self) -> Iterator[str]:
        yield from notes.unused_categories(self.response, self.categories, self.weight)
        yield from notes.duplicate_note(self.codes)
        yield from notes.missing_notes(self.missing, self.n_rows)
        yield from notes.facet_notes(self.levels, self.missing, {name: name for name in self.codes}, self.dimension)
        yield from notes.weight_note(self.weight)


def _own_names(facets: str | Sequence[str], dimension: str | None, *, who: str) -> dict[str, str]:
    """The columns that keep their names: the further facets and the dimension."""
    names = facet_names(facets, who=who)
    if dimension is None:
        return {name: name for name in names}
    if dimension in names:
        raise DataError(f"{who}: {dimension!r} is a facet and the dimension; name it once.")
    return {name: name for name in (*names, *facet_names(dimension, who=who))}
