"""Arguments and output that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from psymetric.workflow import Analysis

__all__ = ["Level", "Out", "Quiet", "Seed", "Title", "show", "wrote"]

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the report, its tables and the fit.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Title = Annotated[str, typer.Option(help="Heading of the report.")]
Level = Annotated[float, typer.Option(help="Coverage of the intervals.")]


def show(analysis: Analysis) -> None:
    """Print what was fitted."""
    typer.echo(analysis.fit.summary())


def wrote(paths: dict[str, Path]) -> None:
    """Say which files were written."""
    for name, path in paths.items():
        typer.echo(f"wrote {name}: {path}")
