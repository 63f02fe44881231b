"""Commands about studies: lay out, ask, analyse, rehearse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from psymetric.cli.options import Out, Quiet, Seed, show, wrote

if TYPE_CHECKING:
    from psymetric.design.plan import Plan

__all__ = ["collect", "demo", "plan", "run", "simulate"]

Study = Annotated[Path, typer.Argument(help="Study file (YAML).")]
Store = Annotated[str, typer.Option(help="Where answers are kept: sqlite:///file.db or a path.")]


def demo(out: Out = Path("demo"), seed: Seed = 1, quiet: Quiet = False) -> None:
    """Run the main job end to end on simulated judges that answer over HTTP, and write its report."""
    from psymetric.workflow import run_demo

    wrote(run_demo(out, seed=seed, progress=not quiet))


def plan(
    study: Study,
    out: Annotated[Path, typer.Option("--out", "-o", help="Plan file (Parquet).")] = Path("plan.parquet"),
    seed: Seed = 0,
) -> None:
    """Lay out every request of a study before anything is asked, with its cost and expected precision."""
    laid_out = _plan_of(study, seed)
    _show_plan(laid_out)
    wrote({"plan": laid_out.write(out)})


def collect(
    source: Annotated[Path, typer.Argument(help="Plan (Parquet) or study (YAML).")],
    store: Store = "sqlite:///run.db",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Ask what the store does not hold yet; the same command continues an interrupted run."""
    from psymetric.workflow import collect as collecting

    typer.echo(collecting(_plan_of(source, seed), store=store, progress=not quiet).message)


def run(
    study: Study,
    out: Out = Path("out"),
    store: Annotated[str, typer.Option(help="Where answers are kept; by default in the output folder.")] = "",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Plan, ask, fit and report a study."""
    from psymetric.workflow import analyse_plan, collect as collecting

    laid_out = _plan_of(study, seed)
    out.mkdir(parents=True, exist_ok=True)
    where = store or f"sqlite:///{out / 'run.db'}"
    typer.echo(collecting(laid_out, store=where, progress=not quiet).message)
    analysis = analyse_plan(laid_out, store=where)
    show(analysis)
    wrote({"plan": laid_out.write(out / "plan.parquet")} | analysis.save(out))


def simulate(study: Study, out: Out = Path("simulated"), seed: Seed = 1, quiet: Quiet = False) -> None:
    """Run a study on simulated models with known truth, over real HTTP, and report how well the truth is recovered."""
    from psymetric.design.study import Study as StudyFile
    from psymetric.workflow import simulate_study

    analysis, written = simulate_study(StudyFile.from_yaml(study), out, seed=seed, progress=not quiet)
    show(analysis)
    wrote(written)


def _plan_of(source: Path, seed: int) -> Plan:
    from psymetric.design.plan import Plan, plan as planning
    from psymetric.design.study import Study as StudyFile

    return Plan.read(source) if source.suffix == ".parquet" else planning(StudyFile.from_yaml(source), seed=seed)


def _show_plan(laid_out: Plan) -> None:
    typer.echo(repr(laid_out))
    counts = laid_out.summary()
    for facet, group in counts.groupby("facet", sort=False):
        shown = ", ".join(f"{level} {rows}" for level, rows in zip(group["level"], group["rows"], strict=True))
        typer.echo(f"  {facet}: {shown if len(shown) < 200 else shown[:200] + ' …'}")
    typer.echo(f"  {laid_out.cost()}")
    errors = laid_out.expected_se()
    typer.echo(f"  expected standard error of a subject: {errors.iloc[:, -1].median():.2f} logits (median)")
    for note in laid_out.notes:
        typer.echo(f"  note: {note}")
