"""The one way to fit a model: check, run the engine, and never pass a failure off as a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, final, runtime_checkable

import numpy as np
import pandas as pd

from psymetric.core.threads import single_threaded_blas
from psymetric.data.coding import Label
from psymetric.data.connectivity import connectivity
from psymetric.data.pairs import PairTable
from psymetric.data.rankings import RankingTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import ConvergenceError, DataError, DesignError, IdentificationError
from psymetric.estimation.conditional_ml import ConditionalML
from psymetric.estimation.exchangeable import EXCHANGEABLE, decide_random
from psymetric.estimation.fit import Fit
from psymetric.estimation.identification import check_table
from psymetric.estimation.joint_ml import JointML
from psymetric.estimation.map_laplace import MAP, Laplace
from psymetric.estimation.marginal_ml import MarginalML
from psymetric.estimation.nuts import NUTS
from psymetric.estimation.pymc_nuts import PyMCNUTS
from psymetric.estimation.separation import check_comparisons
from psymetric.estimation.svi import SVI
from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.space import has_ability
from psymetric.models.truth import AbstractTruthModel

__all__ = ["Engine", "FitSet", "fit", "fit_each", "recommended_engine"]

_PENALISED = (MAP, Laplace, NUTS, SVI, PyMCNUTS)
_SAMPLING = (NUTS, SVI, PyMCNUTS)
"""Engines of the posterior itself, where a random facet costs nothing and shrinks by what the data say."""


@runtime_checkable
class Engine(Protocol):
    """Settings of a way to fit, with one method."""

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to a table that has passed the checks."""
        ...


def recommended_engine(model: AbstractMeasurementModel) -> Engine:
    """MarginalML where subjects or truths are summed out, MAP where they need a prior as well, JointML elsewhere."""
    if model.needs_prior:
        return MAP()
    return MarginalML() if has_ability(model) or isinstance(model, AbstractTruthModel) else JointML()


def fit(
    model: AbstractMeasurementModel,
    table: ResponseTable | PairTable | RankingTable,
    *,
    engine: Engine | None = None,
    throw: bool = True,
) -> Fit:
    """Fit a measurement model to a table.

    A model whose `random` setting is None leaves it to the engine which facets are random. NUTS, SVI and PyMCNUTS take
    the facets named judge and template as random where they have three or more levels, so that results extend beyond
    the judges and wordings used; other engines take every facet as fixed. `Fit.model` and `Fit.notes` say what was
    decided.

    Args:
        model: What to fit, such as `ManyFacetRasch(facets=("item", "judge"))`.
        table: Responses, comparisons or rankings. Missing responses are left out of the likelihood (ignorable), never
            scored.
        engine: How: MarginalML, ConditionalML, JointML, MAP, Laplace, NUTS, SVI or PyMCNUTS; by default the one
            recommended for the model.
        throw: Raise on non-convergence; else return the fit, whose `status` says so.

    Raises:
        DataError: The table is of the wrong kind or lacks a facet of the model.
        DesignError: Disconnected levels, named, without anything to connect them.
        IdentificationError: The data do not determine some parameters, named.
        ConvergenceError: The engine stopped before its optimum; `.fit` holds the unfinished result.
    """
    if not isinstance(model, AbstractMeasurementModel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"fit(model, table): the model is a {type(model).__name__}; pass one such as ManyFacetRasch()")
    if not isinstance(table, (ResponseTable, PairTable, RankingTable)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            f"fit(model, table): the table is a {type(table).__name__}; make one with ResponseTable.from_frame, "
            "PairTable.from_frame or RankingTable.from_frame"
        )
    engine = recommended_engine(model) if engine is None else engine
    if not isinstance(engine, Engine):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            f"engine={engine!r} is not an engine: use MarginalML(), ConditionalML(), JointML(), MAP(), Laplace(), "
            "NUTS() or SVI()"
        )
    check_table(model, table)
    model, decided = decide_random(model, table, EXCHANGEABLE if isinstance(engine, _SAMPLING) else ())
    _check_connected(model, table, engine)
    with single_threaded_blas():
        result = engine.run(model, table)
    result = replace(result, notes=(*result.notes, *decided))
    _check_finite(result)
    if throw and not result.status.converged:
        raise ConvergenceError(f"{result.engine} did not converge: {result.status.message}", result)
    return result


def _check_connected(
    model: AbstractMeasurementModel, table: ResponseTable | PairTable | RankingTable, engine: Engine
) -> None:
    """A prior decides what a disconnected design leaves open; maximum likelihood has nothing to decide it with."""
    if isinstance(engine, _PENALISED):
        return
    if isinstance(table, PairTable):
        # What one class cannot tell of all judges, several cannot tell of some.
        check_comparisons(model.model if isinstance(model, JudgeMixture) else model, table)
        return
    if isinstance(table, RankingTable):
        found = connectivity(table)
        if found.n_strong > 1:
            raise IdentificationError(f"{found.describe()} Or give the worths a prior: engine=MAP() or NUTS().")
        return
    if isinstance(model, AbstractTruthModel):
        return  # truths are categories, which mean the same to judges who share no subject
    fixed = [spec.axes[0] for spec in model.parameters if _needs_linking(spec)]
    facets = tuple(facet for facet in fixed if len(table.levels[facet]) > 1)
    if not facets:
        return
    found = connectivity(table, facets=("subject", *facets))
    # Subjects that are integrated over count as alike across groups; those with a parameter of their own, or compared
    # only with themselves, do not.
    nested = found.nested or (isinstance(engine, (JointML, ConditionalML)) and found.nested_subjects)
    if found.n_subsets > 1 or nested:
        raise DesignError(
            f"{found.describe()} Or anchor levels, or declare a facet random (which takes its levels for exchangeable)."
        )


def _needs_linking(spec: ParamSpec) -> bool:
    single = len(spec.axes) == 1 and spec.is_location
    return single and not spec.random and not spec.anchors and not spec.covariates


def _check_finite(result: Fit) -> None:
    for name, value in result.parameters.items():
        if not np.all(np.isfinite(value)) and not result.extremes:
            raise ConvergenceError(f"{result.engine} ended with {name!r} not finite", result)


@final
@dataclass(frozen=True)
class FitSet:
    """Fits of one model to parts of a table, by the label of the part."""

    by: str
    fits: Mapping[Label, Fit]

    def __getitem__(self, label: Label) -> Fit:
        return self.fits[label]

    def __iter__(self) -> Iterator[Label]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    def estimates(self, facet: str, *, level: float = 0.95) -> pd.DataFrame:
        """`Fit.estimates` of every part, with the part's label in the first column."""
        frames = [fit.estimates(facet, level=level).assign(**{self.by: label}) for label, fit in self.fits.items()]
        frame = pd.concat(frames, ignore_index=True)
        return frame[[self.by, *(column for column in frame.columns if column != self.by)]]

    def summary(self) -> str:
        """The parts' summaries, one after another."""
        return "\n".join(f"[{self.by} = {label}]\n{fit.summary()}" for label, fit in self.fits.items())


def fit_each(
    model: AbstractMeasurementModel,
    table: ResponseTable,
    *,
    by: str,
    engine: Engine | None = None,
    throw: bool = True,
) -> FitSet:
    """Fit one model to every part of a table, such as each trait of an inventory.

    Parts of equal shape share one compiled program. A part that cannot be fitted raises with its label in the message.

    Args:
        model: What to fit.
        table: Responses with a column named `by`.
        by: The facet or dimension column that splits the table.
        engine: As in `fit`.
        throw: As in `fit`.

    Raises:
        DataError, DesignError, IdentificationError, ConvergenceError: As in `fit`.
    """
    fits: dict[Label, Fit] = {}
    for label, part in table.split(by).items():
        try:
            fits[label] = fit(model, part, engine=engine, throw=throw)
        except (DataError, DesignError, IdentificationError) as error:
            raise type(error)(f"{by} = {label}: {error}") from error
    return FitSet(by, fits)
