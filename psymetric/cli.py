"""The `psymetric` command: every command is one public function plus arguments, and says where it wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from psymetric import __version__
from psymetric.errors import DataError, PsymetricError

if TYPE_CHECKING:
    from psymetric.data.pairs import PairTable
    from psymetric.data.responses import ResponseTable
    from psymetric.design.plan import Plan
    from psymetric.estimation.fitting import Engine
    from psymetric.models.base import AbstractMeasurementModel
    from psymetric.workflow import Analysis

__all__ = ["app"]

_BAD_INPUT, _INTERRUPTED = 2, 130
# Column names that need no option when a file uses them.
_USUAL = {
    "response": ("response", "rating", "score", "label_value"),
    "subject": ("subject", "conversation", "conversation_id", "system", "response_id", "text_id"),
    "item": ("item", "criterion", "question", "trait"),
    "judge": ("judge", "rater", "annotator", "grader"),
    "left": ("left", "model_a", "left_model"),
    "right": ("right", "model_b", "right_model"),
    "outcome": ("outcome", "winner"),
}


class _Commands(TyperGroup):
    """Turns psymetric's own errors into one line and exit code 2; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        # Compiled programs are kept between commands: compiling is most of a short command's time.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psymetric" / "jax"
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
        # With a limit JAX locks the cache; without one a process may read a program that another is still writing.
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**30))
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

Study = Annotated[Path, typer.Argument(help="Study file (YAML).")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the report, its tables and the fit.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Store = Annotated[str, typer.Option(help="Where answers are kept: sqlite:///file.db or a path.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


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


@app.command()
def demo(out: Out = Path("demo"), seed: Seed = 1, quiet: Quiet = False) -> None:
    """Run the main job end to end on simulated judges that answer over HTTP, and write its report."""
    from psymetric.workflow import run_demo

    _wrote(run_demo(out, seed=seed, progress=not quiet))


@app.command()
def plan(
    study: Study,
    out: Annotated[Path, typer.Option("--out", "-o", help="Plan file (Parquet).")] = Path("plan.parquet"),
    seed: Seed = 0,
) -> None:
    """Lay out every request of a study before anything is asked, with its cost and expected precision."""
    laid_out = _plan_of(study, seed)
    _show_plan(laid_out)
    _wrote({"plan": laid_out.write(out)})


@app.command()
def collect(
    source: Annotated[Path, typer.Argument(help="Plan (Parquet) or study (YAML).")],
    store: Store = "sqlite:///run.db",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Ask what the store does not hold yet; the same command continues an interrupted run."""
    from psymetric.workflow import collect as collecting

    typer.echo(collecting(_plan_of(source, seed), store=store, progress=not quiet).message)


@app.command()
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
    _show(analysis)
    _wrote({"plan": laid_out.write(out / "plan.parquet")} | analysis.save(out))


@app.command()
def simulate(study: Study, out: Out = Path("simulated"), seed: Seed = 1, quiet: Quiet = False) -> None:
    """Run a study on simulated models with known truth, over real HTTP, and report how well the truth is recovered."""
    from psymetric.design.study import Study as StudyFile
    from psymetric.workflow import simulate_study

    analysis, written = simulate_study(StudyFile.from_yaml(study), out, seed=seed, progress=not quiet)
    _show(analysis)
    _wrote(written)


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(help="CSV, Parquet or JSONL: one row per rating or comparison.")],
    response: Annotated[str, typer.Option("--response", "-r", help="Column with the rating.")] = "",
    subject: Annotated[str, typer.Option("--subject", "-s", help="Column with what is measured.")] = "",
    item: Annotated[str, typer.Option("--item", "-i", help="Column with the criterion or question.")] = "",
    facet: Annotated[list[str] | None, typer.Option("--facet", "-f", help="Judge, template, …; repeatable.")] = None,
    dimension: Annotated[str, typer.Option(help="Column whose values are fitted one by one.")] = "",
    weight: Annotated[str, typer.Option(help="Column with counts.")] = "",
    reason: Annotated[str, typer.Option(help="Column that says why a response is missing.")] = "",
    left: Annotated[str, typer.Option(help="Comparisons: column with the one shown first.")] = "",
    right: Annotated[str, typer.Option(help="Comparisons: column with the other.")] = "",
    outcome: Annotated[str, typer.Option(help="Comparisons: column with left, right or tie.")] = "",
    steps: Annotated[str, typer.Option(help='"common", or the facet whose levels own their steps.')] = "",
    random: Annotated[list[str] | None, typer.Option(help="Facet whose levels are a sample; repeatable.")] = None,
    engine: Annotated[
        str, typer.Option(help="marginal_ml, conditional_ml, joint_ml, map, laplace, nuts, svi or pymc_nuts.")
    ] = "",
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "",
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    out: Out = Path("out"),
) -> None:
    """Fit your own judge scores: `psymetric fit scores.csv -r rating -s conversation -i criterion -f judge`."""
    from psymetric.workflow import analyse

    given = {"response": response, "subject": subject, "item": item, "left": left, "right": right, "outcome": outcome}
    table = _read_table(data, given, facet or [], {"dimension": dimension, "weight": weight, "reason": reason})
    analysis = analyse(
        table,
        model=_model(table, steps, random or []),
        engine=_engine(engine),
        title=title or data.stem,
        level=level,
    )
    _show(analysis)
    _wrote(analysis.save(out))


@app.command()
def report(
    fitted: Annotated[Path, typer.Argument(help="Fit (.npz) that an earlier command wrote.")],
    table: Annotated[Path, typer.Argument(help="Table (.parquet) that it was fitted to.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "",
    plan: Annotated[Path | None, typer.Option(help="Plan (.parquet) behind the table.")] = None,
    truth: Annotated[Path | None, typer.Option(help="CSV of known values: facet, level, true (logits).")] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
) -> None:
    """Write the report of a stored fit again."""
    import pandas as pd

    from psymetric.data.pairs import PairTable
    from psymetric.data.responses import ResponseTable
    from psymetric.design.plan import Plan
    from psymetric.estimation.fit import Fit
    from psymetric.reporting import report as reporting

    result = Fit.load(fitted)
    kind = PairTable if result.model.table_kind == "pairs" else ResponseTable
    page = reporting.report(
        result,
        kind.read(table),
        title=title or None,
        plan=None if plan is None else Plan.read(plan),
        truth=None if truth is None else pd.read_csv(truth),
        level=level,
    )
    _wrote({"report": page.save(out)})


def _plan_of(source: Path, seed: int) -> Plan:
    from psymetric.design.plan import Plan, plan as planning
    from psymetric.design.study import Study as StudyFile

    return Plan.read(source) if source.suffix == ".parquet" else planning(StudyFile.from_yaml(source), seed=seed)


def _read_table(
    path: Path, given: dict[str, str], facets: list[str], optional: dict[str, str]
) -> ResponseTable | PairTable:
    """Read a file with the columns named, and those with usual names where an option is left out."""
    from psymetric.data.pairs import PairTable
    from psymetric.data.responses import ResponseTable

    columns = _columns(path)
    found = {
        role: name or next((usual for usual in _USUAL[role] if usual in columns and usual not in facets), "")
        for role, name in given.items()
    }
    pairs = bool(found["left"] and found["right"] and found["outcome"]) and not given["response"]
    for role in ("left", "right", "outcome") if pairs else ("response", "subject"):
        if not found[role]:
            raise DataError(f"{path}: name the {role} column with --{role}; its columns are {', '.join(columns)}")
    used = [*found.values(), *optional.values()]
    chosen = tuple(facets or [name for name in _USUAL["judge"] if name in columns and name not in used][:1])
    weight, reason = optional["weight"] or None, optional["reason"] or None
    typer.echo("columns: " + ", ".join(f"{r} = {c}" for r, c in found.items() if c) + f"; facets: {', '.join(chosen)}")
    if pairs:
        left, right, outcome = found["left"], found["right"], found["outcome"]
        return PairTable.read(
            path, left=left, right=right, outcome=outcome, facets=chosen, weight=weight, reason=reason
        )
    return ResponseTable.read(
        path,
        response=found["response"],
        subject=found["subject"],
        item=found["item"] or None,
        facets=chosen,
        dimension=optional["dimension"] or None,
        weight=weight,
        reason=reason,
    )


def _columns(path: Path) -> list[str]:
    import narwhals as nw

    from psymetric.data.files import read_frame

    return list(nw.from_native(read_frame(path, answers=(), who="psymetric fit").frame).columns)


def _model(table: ResponseTable | PairTable, steps: str, random: list[str]) -> AbstractMeasurementModel | None:
    from psymetric.design.settings import ModelSettings
    from psymetric.workflow import choose_model

    if not steps and not random:
        return None
    chosen = ({"steps": steps} if steps else {}) | ({"random": random} if random else {})
    return choose_model(table, ModelSettings(kind="many_facet_rasch", settings=chosen))


def _engine(name: str) -> Engine | None:
    from psymetric.workflow import engine_named

    return engine_named(name) if name else None


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


def _show(analysis: Analysis) -> None:
    typer.echo(analysis.fit.summary())


def _wrote(paths: dict[str, Path]) -> None:
    for name, path in paths.items():
        typer.echo(f"wrote {name}: {path}")
