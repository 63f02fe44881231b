"""`psymetric calibrate`: few labels and many verdicts of a judge, to an estimate, a page, and rows to label."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from psymetric.cli.options import Level, Seed, Title, wrote
from psymetric.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from psymetric.calibration.calibrated import CalibratedEstimate

__all__ = ["calibrate"]

_WHO: Final = "psymetric calibrate"
_VALUE = "What a verdict or label that is text counts for, such as good=1; repeatable."
_SYSTEMS = "Level of --system to use, for a difference the first less the second; repeatable."
_SEND = "Choose this many rows for a person to label next, more where the judge may be wrong."
_CHANCE, _CHOSEN = "label_probability", "to_label"
"""Columns that the whole table gets."""


def calibrate(
    data: Annotated[Path, typer.Argument(help="CSV, Parquet or JSONL: one row per thing judged, labelled or not.")],
    judge: Annotated[str, typer.Option(help="Column with the judge's verdict.")] = "judge",
    label: Annotated[str, typer.Option(help="Column with the label by a person, empty where there is none.")] = "human",
    estimand: Annotated[str, typer.Option(help="mean, difference or win_rate.")] = "mean",
    system: Annotated[str, typer.Option(help="Column with what is evaluated.")] = "",
    systems: Annotated[list[str] | None, typer.Option("--only", help=_SYSTEMS)] = None,
    by: Annotated[str, typer.Option(help="Column of groups, each with estimates of its own.")] = "",
    cluster: Annotated[str, typer.Option(help="Column of what rows share, such as the prompt.")] = "",
    probability: Annotated[str, typer.Option(help="Column with the chance that a row had of a label.")] = "",
    weight: Annotated[str, typer.Option(help="Column with how much a row counts.")] = "",
    value: Annotated[list[str] | None, typer.Option("--value", help=_VALUE)] = None,
    method: Annotated[str, typer.Option(help="ppi or rogan_gladen.")] = "ppi",
    send: Annotated[int, typer.Option(help=_SEND)] = 0,
    uncertainty: Annotated[str, typer.Option(help="With --send: column with how unsure the judge is.")] = "",
    seed: Seed = 1,
    title: Title = "",
    level: Level = 0.95,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and its tables.")] = Path("out"),
) -> None:
    """Put a judge's verdicts right by the labels of people, with an honest interval.

    psymetric calibrate verdicts.csv --judge judge --label human

    psymetric calibrate verdicts.csv --estimand difference --system model --only new --only old --cluster prompt

    psymetric calibrate verdicts.csv --value pass=1 --value fail=0 --send 200
    """
    from psymetric.calibration.calibrated import calibrated_estimate
    from psymetric.reporting.calibration_page import calibration_report

    _check_send(send, uncertainty)
    optional = {"system": system, "by": by, "cluster": cluster, "probability": probability, "weight": weight}
    named: Mapping[str, Any] = {role: column or None for role, column in optional.items()}
    values = _values(value or [])
    frame = _read(data, [judge, label])
    found = calibrated_estimate(
        frame,
        judge=judge,
        label=label,
        estimand=estimand,  # pyright: ignore[reportArgumentType]  # checked there
        systems=_levels(frame, system, systems or []),
        values=values,
        method=method,  # pyright: ignore[reportArgumentType]
        level=level,
        **named,
    )
    typer.echo(str(found))
    plan = _plan(frame, found, send, uncertainty, seed) if send else None
    rows = None if plan is None else plan[plan[_CHOSEN]].drop(columns=_CHOSEN)
    command = join(["psymetric", *sys.argv[1:]]) if sys.argv[1:2] == ["calibrate"] else None
    page = calibration_report(found, title=title or None, send=rows, command=command)
    wrote(_save(page.save(out / "calibration.html"), plan))


def _check_send(send: int, uncertainty: str) -> None:
    if send < 0:
        raise DataError(f"--send {send}: give how many rows to choose, 1 or more")
    if uncertainty and not send:
        raise DataError("--uncertainty: for the choice of rows to label; add --send 200")


def _read(path: Path, answers: Sequence[str]) -> pd.DataFrame:
    from psymetric.data.columns import native_frame
    from psymetric.data.files import read_frame

    return native_frame(read_frame(path, answers=answers, who=_WHO).frame, who=_WHO)


def _values(given: Sequence[str]) -> dict[Any, float] | None:
    """What texts count for; a label that is written as a number is known as text and as that number."""
    found: dict[Any, float] = {}
    for text in given:
        name, equals, number = text.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise DataError(f"--value {text!r} is not of the form label=number, such as good=1")
    return found or None


def _levels(frame: pd.DataFrame, column: str, given: Sequence[str]) -> list[Any] | None:
    """The levels named, as the file has them: they may be numbers there."""
    if not given:
        return None
    if not column:
        raise DataError("--only: levels of which column? add --system")
    there = {str(level): level for level in frame[column].dropna().unique().tolist()} if column in frame else {}
    return [there.get(name, name) for name in given]


def _plan(frame: pd.DataFrame, found: CalibratedEstimate, n: int, uncertainty: str, seed: int) -> pd.DataFrame:
    """The whole table with the chance of a label, over the draws so far and this one, and whether a row was drawn."""
    from psymetric.calibration.next_labels import next_labels

    asked = found.provenance.settings
    chance = asked.get("probability")
    plan = next_labels(
        frame,
        n=n,
        judge=asked["judge"],
        label=asked["label"],
        uncertainty=uncertainty or None,
        probability=chance,
        values=asked.get("values"),
        seed=seed,
    )
    added = {chance or _CHANCE: plan["probability"], _CHOSEN: plan["chosen"]}
    if taken := [name for name in (_CHANCE,) if chance is None and name in frame.columns]:
        raise DataError(
            f"--send: column {taken[0]!r} holds the chances of an earlier draw; add --probability {taken[0]}, or "
            "rename it"
        )
    return frame.assign(**added)


def _save(page: Path, plan: pd.DataFrame | None) -> dict[str, Path]:
    """What was written, by name; the whole table with its chances goes beside the page."""
    from psymetric.data.files import write_frame

    paths = {"page": page, "estimates": page.with_name("estimates.csv")}
    if plan is None:
        return paths
    paths["rows to label"] = page.with_name("next_labels.csv")
    paths["all rows, to fill in"] = write_frame(plan, page.with_name("judged.csv"), metadata=None, who=_WHO)
    return paths
