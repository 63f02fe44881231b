"""The application: its commands in the order in which help lists them, and what it does with an error."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from psymetric import __version__
from psymetric.cli.calibrating import calibrate
from psymetric.cli.fitting import fit, report
from psymetric.cli.studies import collect, demo, plan, run, simulate
from psymetric.core.programs import keep_programs
from psymetric.errors import PsymetricError

__all__ = ["app"]

_BAD_INPUT, _INTERRUPTED = 2, 130


class _Commands(TyperGroup):
    """Turns psymetric's own errors into one line and exit code 2; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        keep_programs()
        try:
            return super().invoke(ctx)
        except PsymetricError as error:
            typer.secho(f"error: {error}", err=True, fg="red")
            ctx.exit(_BAD_INPUT)
        except KeyboardInterrupt as error:
            typer.secho(str(error) or "interrupted", err=True, fg="yellow")
            ctx.exit(_INTERRUPTED)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Psychometric measurement and calibration of LLM judges.",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Measure with LLM judges: plan, ask, fit, report."""


for _command in (demo, plan, collect, run, simulate, fit, report, calibrate):
    app.command()(_command)
