"""`psymetric fit --truth`: labels by judges of what has one true category, and the model that the options name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final

import typer

from psymetric.cli.tables import columns_of, usual_column
from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.responses import ResponseTable
    from psymetric.models.truth import AbstractTruthModel

__all__ = ["Truths"]

_MOST: Final = 100
"""More labels than this are taken for scores."""


@final
@dataclass(frozen=True)
class Truths:
    """What the options say; empty where they were left out.

    Attributes:
        model: Name of the model in snake case, such as dawid_skene.
        judge: Column of the judges.
        gold: Level of it whose labels are the truth.
        categories: Labels from low to high.
        settings: Settings of the model, `name=value` each.
    """

    model: str
    judge: str
    gold: str
    categories: tuple[str, ...]
    settings: tuple[str, ...]

    def __post_init__(self) -> None:
        given = {"--judge": self.judge, "--gold": self.gold, "--category": self.categories, "--set": self.settings}
        if not self.model and (named := [name for name, value in given.items() if value]):
            raise DataError(f"{' and '.join(named)}: for labels of a true category; add --truth dawid_skene")

    def refuse(self, others: Mapping[str, object]) -> None:
        """Raise DataError where an option was given that models of a true category do not have."""
        if named := [name for name, value in others.items() if value]:
            raise DataError(f"{' and '.join(named)}: --truth {self.model} has no use for it; leave it out")

    def read(
        self, path: Path, given: Mapping[str, str], facets: Sequence[str], optional: Mapping[str, str]
    ) -> tuple[ResponseTable, AbstractTruthModel]:
        """The labels of a file, and the model.

        Args:
            path: Of the file.
            given: Column of response and subject; empty where left out.
            facets: Further columns to keep.
            optional: Column of weight and reason; empty where left out.

        Raises:
            DataError: An unknown model, setting, gold or column, or what the table refuses.
            DesignError: A setting that the model refuses.
        """
        from psymetric.data.files import read_frame
        from psymetric.data.responses import ResponseTable

        columns = columns_of(path)
        found = {role: usual_column(role, name, columns, given.values()) for role, name in given.items()}
        judge = usual_column("judge", self.judge, columns, found.values())
        for role, name in {**found, "judge": judge}.items():
            if not name:
                raise DataError(f"{path}: name the {role} column with --{role}; its columns are {', '.join(columns)}")
        model = self._build(judge)
        kept = tuple(dict.fromkeys((judge, *facets, *model.facets, *filter(None, (model.groups,)))))
        typer.echo("columns: " + ", ".join(f"{r} = {c}" for r, c in found.items()) + f"; facets: {', '.join(kept)}")
        answers = [name for name in (found["response"], *optional.values()) if name]
        frame = read_frame(path, answers=answers, who="psymetric fit").frame
        categories = self.categories or _labels_of(frame, found["response"], columns, path)
        table = ResponseTable.from_frame(
            frame,
            response=found["response"],
            subject=found["subject"],
            facets=kept,
            weight=optional["weight"] or None,
            reason=optional["reason"] or None,
            categories=_numbers(categories),
        )
        return table, model if not self.gold else replace(model, gold=self._gold(table, judge))

    def _build(self, judge: str) -> AbstractTruthModel:
        """The model that the options name, without its gold."""
        from pydantic import ValidationError

        from psymetric.data.messages import nearest
        from psymetric.design.settings import ModelSettings
        from psymetric.models.discovery import model_names
        from psymetric.models.truth import AbstractTruthModel

        known = sorted(name for name, model in model_names().items() if issubclass(model, AbstractTruthModel))
        if self.model not in known:
            raise DataError(f"--truth {self.model}: no such model; {nearest(self.model, known)}")
        settings = self._settings() | {"over": judge}
        try:
            return cast(AbstractTruthModel, ModelSettings(kind=self.model, settings=settings).build(()))
        except ValidationError as error:
            raise DataError(f"--set: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error

    def _settings(self) -> dict[str, Any]:
        import yaml

        found: dict[str, Any] = {}
        for text in self.settings:
            name, equals, value = text.partition("=")
            if not equals or not name or not value:
                raise DataError(f"--set {text!r} is not of the form name=value, such as prior_labels=2")
            if name in ("over", "gold"):
                raise DataError(f"--set {text!r}: give it with --{'judge' if name == 'over' else 'gold'}")
            try:
                found[name] = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise DataError(f"--set {text!r}: the value cannot be read; quote it, or give a plain one") from error
        return found

    def _gold(self, table: ResponseTable, judge: str) -> Any:
        """The level that the option names, which may be a number in the file."""
        levels = table.levels[judge]
        if same := [label for label in levels if str(label) == self.gold]:
            return same[0]
        from psymetric.data.messages import nearest

        raise DataError(f"--gold {self.gold}: column {judge!r} has no such level; {nearest(self.gold, levels)}")


def _labels_of(frame: Any, column: str, columns: Sequence[str], path: Path) -> list[Any]:
    """The different labels of a column in their order."""
    import narwhals as nw
    import pandas as pd

    if column not in columns:
        raise DataError(f"{path}: there is no column {column!r}; its columns are {', '.join(columns)}")
    values = pd.Series(nw.from_native(frame)[column].to_list(), dtype=object).dropna()
    try:
        labels = sorted(values.unique())
    except TypeError:
        labels = sorted(values.astype(str).unique())
    if len(labels) > _MOST:
        raise DataError(
            f"{path}: column {column!r} holds {len(labels):,} different labels, which are no categories; name another "
            "with --response, or fit scores without --truth"
        )
    return labels


def _numbers(labels: Sequence[Any]) -> list[Any]:
    """Labels as numbers where all of them are, whole ones without a decimal point."""
    try:
        numbers = [float(label) for label in labels]
    except (TypeError, ValueError):
        return list(labels)
    return [int(value) if value.is_integer() else value for value in numbers]
