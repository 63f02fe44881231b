"""The main job in one call: choose a model for a table, fit it, and write everything a reader wants to one folder."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, final

import pandas as pd

from psymetric.administration.administer import Responses, administer
from psymetric.administration.tables import responses_frame, to_table
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.design.plan import Plan
from psymetric.design.settings import EngineSettings, ModelSettings
from psymetric.errors import DataError, StoreError, StudyError
from psymetric.estimation.conditional_ml import ConditionalML
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import Engine, FitSet, fit, fit_each
from psymetric.estimation.joint_ml import JointML
from psymetric.estimation.map_laplace import MAP, Laplace
from psymetric.estimation.marginal_ml import MarginalML
from psymetric.estimation.nuts import NUTS
from psymetric.estimation.pymc_nuts import PyMCNUTS
from psymetric.estimation.svi import SVI
from psymetric.models.base import AbstractMeasurementModel
from psymetric.models.best_worst import BestWorst
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.plackett_luce import PlackettLuce
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.reporting.report import Report, report
from psymetric.simulation.demo import demo_parts
from psymetric.simulation.studies import simulate

if TYPE_CHECKING:
    from rich.console import Console

    from psymetric.design.study import Study
    from psymetric.simulation.truth import World

__all__ = [
    "ENGINES",
    "Analysis",
    "analyse",
    "analyse_plan",
    "check_analysis",
    "choose_model",
    "collect",
    "engine_named",
    "run_demo",
    "simulate_study",
    "tie_rule",
]

ENGINES: Final = {
    "marginal_ml": MarginalML,
    "conditional_ml": ConditionalML,
    "joint_ml": JointML,
    "map": MAP,
    "laplace": Laplace,
    "nuts": NUTS,
    "svi": SVI,
    "pymc_nuts": PyMCNUTS,
}
_REPLICATES: Final = ("occasion",)
"""Facets that repeat a request without changing it: their levels have no effect of their own to estimate."""


_BESIDE: Final = 1
"""Place of the demonstration's inventory among its parts."""


@final
@dataclass(frozen=True)
class Analysis:
    """A fitted table and its report.

    Attributes:
        table: What was analysed.
        fit: One fit, or one per part when the table has a dimension such as traits.
        report: The page; `save` writes it with its tables.
    """

    table: ResponseTable | PairTable | RankingTable
    fit: Fit | FitSet
    report: Report

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write report.html, its tables, the fit and the table to a folder; returns what was written, by name.

        Raises:
            StoreError: The folder cannot be written.
        """
        out = _folder(folder)
        try:
            written = {"report": self.report.save(out / "report.html")}
            fits = {"fit": self.fit} if isinstance(self.fit, Fit) else {f"fit-{k}": self.fit[k] for k in self.fit}
            for name, one in fits.items():
                written[name] = one.save(out / f"{name}.npz")
            written["table"] = self.table.write(out / "table.parquet")
        except OSError as error:
            raise StoreError(f"cannot write to {out}: {error.strerror or error}; choose another folder") from error
        return written


def engine_named(name: str, settings: dict[str, Any] | None = None) -> Engine:
    """An engine from its name in study files and on the command line.

    Raises:
        StudyError: Unknown name or setting, with the valid ones.
    """
    if name not in ENGINES:
        raise StudyError(f"no engine is called {name!r}; valid: {', '.join(ENGINES)}")
    try:
        return ENGINES[name](**(settings or {}))
    except TypeError as error:
        valid = ", ".join(ENGINES[name].__dataclass_fields__)
        raise StudyError(f"engine {name}: {error}; its settings are {valid}") from error


def choose_model(
    table: ResponseTable | PairTable | RankingTable, settings: ModelSettings | None = None
) -> AbstractMeasurementModel:
    """The model a study names, or the one that fits the table's kind.

    Ratings get a many-facet Rasch model of the item and every other facet, with steps owned by the items (partial
    credit); comparisons get Bradley-Terry with a first-position effect, and Davidson ties where there are ties;
    rankings Plackett-Luce, with ties where there are some, and best-worst choices maxdiff.
    """
    if settings is not None:
        return settings.build(_varied(table))
    if isinstance(table, PairTable):
        return BradleyTerry(ties=tie_rule(table), position=True)
    if isinstance(table, RankingTable):
        return BestWorst() if table.is_best_worst else PlackettLuce(ties="davidson-luce" if table.tied.any() else None)
    facets = _varied(table)
    return ManyFacetRasch(facets=facets, steps="item" if "item" in facets else "common")


def tie_rule(table: PairTable) -> Literal["davidson"] | None:
    """Davidson's rule where comparisons were tied, else none."""
    return "davidson" if bool((table.response == 2).any()) else None


def _varied(table: ResponseTable | PairTable | RankingTable) -> tuple[str, ...]:
    """Facets that can move a response; one-level facets stay, so that the result says what could not be estimated."""
    names = [name for name in table.facets if name not in ("subject", *_REPLICATES)]
    return tuple(sorted(names, key=lambda name: name != "item"))


def analyse(
    table: ResponseTable | PairTable | RankingTable,
    *,
    model: AbstractMeasurementModel | None = None,
    engine: Engine | None = None,
    title: str | None = None,
    frame: pd.DataFrame | None = None,
    plan: Plan | None = None,
    truth: pd.DataFrame | None = None,
    level: float = 0.95,
) -> Analysis:
    """Fit a table and build its report.

    Args:
        table: Ratings, comparisons or rankings. A table with a dimension (traits) gets one fit per level of it.
        model: By default the one that `choose_model` picks.
        engine: By default the one recommended for the model; of a simplex judge, whose page needs draws, NUTS.
        title: Heading of the report.
        frame: Answers including non-responses, for the report.
        plan: The plan behind the answers, for the report.
        truth: Known values of a simulated study: facet, level, true (and the dimension's column).
        level: Coverage of the intervals.

    Raises:
        DataError, DesignError, IdentificationError, ConvergenceError: As in `fit`.
    """
    chosen = model or choose_model(table)
    engine = NUTS() if engine is None and isinstance(chosen, SimplexJudge) else engine
    if isinstance(table, ResponseTable) and table.dimension is not None:
        result: Fit | FitSet = fit_each(chosen, table, by=table.dimension, engine=engine)
    else:
        result = fit(chosen, table, engine=engine)
    page = report(result, table, title=title, frame=frame, plan=plan, truth=truth, level=level)
    return Analysis(table, result, page)


def check_analysis(plan: Plan) -> None:
    """Refuse a study whose engine cannot be built, before anything is asked; `plan` has checked its model.

    Raises:
        StudyError: Unknown engine setting.
    """
    if plan.study.engine is not None:
        _engine(plan.study.engine)


def collect(plan: Plan, *, store: str, progress: bool = True) -> Responses:
    """Ask what the store does not hold yet; the same call continues an interrupted run."""
    check_analysis(plan)
    return administer(plan, store=store, progress=progress)


def analyse_plan(plan: Plan, *, store: str, truth: pd.DataFrame | None = None, level: float = 0.95) -> Analysis:
    """Analyse the answers that a store holds for a plan, as its study says.

    Raises:
        DataError: No request has an answer yet.
    """
    frame = responses_frame(store, plan)
    if frame["category"].isna().all():
        reasons = frame["reason"].value_counts().to_dict()
        raise DataError(f"{plan.study.study}: none of the {len(frame)} requests has an answer ({reasons})")
    table = to_table(plan, frame)
    study = plan.study
    return analyse(
        table,
        model=choose_model(table, study.model),
        engine=None if study.engine is None else _engine(study.engine),
        title=study.study,
        frame=frame,
        plan=plan,
        truth=truth,
        level=level,
    )


def simulate_study(
    study: Study, folder: str | Path, *, world: World | None = None, seed: int = 1, progress: bool | Console = True
) -> tuple[Analysis, dict[str, Path]]:
    """Run a study on simulated models of known truth over loopback HTTP, and write its report with the truth beside it.

    Args:
        study: Whose judges or subjects are simulated.
        folder: Where the store, the plan and the report go.
        world: The truth; None draws one.
        seed: Of the design, the truth and the answers.
        progress: As for `administer`.

    Raises:
        StudyError, DesignError, StoreError, DataError: As for `simulate` and `analyse_plan`.
    """
    out = _folder(folder)
    store = f"sqlite:///{out / 'run.db'}"
    (out / "run.db").unlink(missing_ok=True)
    found = simulate(study, seed=seed, world=world, store=store, progress=progress)
    analysis = analyse_plan(found.plan, store=store, truth=found.truth())
    return analysis, {"plan": found.plan.write(out / "plan.parquet")} | analysis.save(out)


def run_demo(folder: str | Path = "demo", *, seed: int = 1, progress: bool | Console = True) -> dict[str, Path]:
    """The main job end to end on the built-in simulated judges: ratings, an inventory and comparisons.

    Args:
        folder: Where the three reports go, the main one directly.
        seed: Of everything random.
        progress: As for `administer`.

    Returns:
        The reports written, the main one first.
    """
    # Compiling and drawing keep one core busy: the longest of the lesser parts runs beside the others, in a process
    # of its own because most of its work holds the interpreter's lock.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        beside = pool.submit(_demo_part, _BESIDE, Path(folder), seed, False)
        done = {place: _demo_part(place, Path(folder), seed, progress) for place in (0, 2)}
        done[_BESIDE] = beside.result()
    return {title: report for _, (title, report) in sorted(done.items())}


def _demo_part(place: int, folder: Path, seed: int, progress: bool | Console) -> tuple[str, Path]:
    part = demo_parts(seed=seed)[place]
    out = folder if place == 0 else folder / part.name
    _, paths = simulate_study(part.study, out, world=part.world, seed=seed, progress=progress)
    return part.title, paths["report"]


def _folder(folder: str | Path) -> Path:
    out = Path(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write to {out}: {error.strerror or error}; choose another folder") from error
    return out


def _engine(settings: EngineSettings) -> Engine:
    return engine_named(settings.kind, dict(settings.settings))
