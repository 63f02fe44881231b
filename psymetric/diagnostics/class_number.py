"""How many classes of judges there are: the same mixture with one class after another, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pandas as pd

from psymetric.data.pairs import PairTable
from psymetric.errors import ConvergenceError, DataError, DesignError, IdentificationError
from psymetric.estimation.fit import Fit
from psymetric.estimation.fitting import Engine, fit
from psymetric.models.judge_mixture import SHARE, JudgeMixture
from psymetric.scoring.latent_classes import class_membership

__all__ = ["ClassComparison", "compare_classes"]

_COLUMNS = [
    "classes",
    "log_likelihood",
    "n_parameters",
    "aic",
    "bic",
    "entropy",
    "smallest_share",
    "starts_at_best",
    "note",
]
_RATIO = (
    "differences in log-likelihood are no chi-square variables: with fewer classes a share is zero, its least, "
    "and the worths of its class are anything; compare BIC, and how well the classes are told apart"
)
_PENALISED = "priors are part of the estimates: bic is taken at the posterior mode, and aic is not given"


@final
@dataclass(frozen=True)
class ClassComparison:
    """Mixtures of judges with different numbers of classes.

    Attributes:
        frame: One row per number of classes: classes, log_likelihood, n_parameters, aic, bic (n: the judges), entropy
            (relative, missing for one class), smallest_share, starts_at_best (share of EM runs; missing for one class),
            note (why a fit failed; its numbers are then missing).
        fits: The fits by number of classes; those that failed are left out.
        notes: What a reader must know, as sentences.
    """

    frame: pd.DataFrame
    fits: Mapping[int, Fit]
    notes: tuple[str, ...]


def compare_classes(
    model: JudgeMixture, table: PairTable, *, classes: Sequence[int] = (1, 2, 3, 4), engine: Engine | None = None
) -> ClassComparison:
    """Fit a mixture with several numbers of classes, to choose by BIC.

    BIC is −2 log L + p log n with n the judges who compared anything, which are what is independent here.

    Args:
        model: A mixture; its own number of classes is not used.
        table: Comparisons.
        classes: Numbers of classes.
        engine: `JointML()` by default; `MAP()` where classes of few judges have no maximum-likelihood estimate.

    Raises:
        DataError: Fits that have no mode (draws), no number of classes, or a model that is no mixture.

    Source: Schwarz (1978), Annals of Statistics 6, 461-464; at the mode under a prior: Fraley & Raftery (2007), Journal
    of Classification 24, 155-181; the likelihood ratio: McLachlan & Peel (2000), Finite Mixture Models, ch. 6.
    """
    if not isinstance(model, JudgeMixture):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"compare_classes: the model is a {type(model).__name__}; pass a JudgeMixture()")
    if not classes:
        raise DataError("compare_classes: classes is empty; give numbers of classes such as (1, 2, 3)")
    rows, fits = list[dict[str, Any]](), dict[int, Fit]()
    for n in classes:
        try:
            found = fit(replace(model, classes=n), table, engine=engine)
        except (ConvergenceError, DataError, DesignError, IdentificationError) as error:
            rows.append({"classes": n, "note": str(error)})
            continue
        if found.log_likelihood is None:
            raise DataError(f"compare_classes: {found.engine} gives draws and no mode: use JointML() or MAP()")
        fits[n] = found
        rows.append(_line(n, found, found.log_likelihood, table, model.over))
    if not fits:
        raise DataError(f"compare_classes: no fit succeeded; with {classes[0]} class(es): {rows[0]['note']}")
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    penalised = any(each.penalised for each in fits.values())
    return ClassComparison(frame, fits, (_RATIO, _PENALISED) if penalised else (_RATIO,))


def _line(n: int, found: Fit, log_likelihood: float, table: PairTable, over: str) -> dict[str, Any]:
    n_judges = np.count_nonzero(np.bincount(table.codes[over], table.weight))
    details = found.status.details
    return {
        "classes": n,
        "log_likelihood": log_likelihood,
        "n_parameters": found.n_parameters,
        "aic": found.aic,
        "bic": found.n_parameters * np.log(n_judges) - 2 * log_likelihood,
        "entropy": class_membership(found, table).entropy,
        "smallest_share": float(found.parameters[SHARE].min()) if n > 1 else 1.0,
        "starts_at_best": details["starts_at_best"] / details["starts"] if "starts" in details else np.nan,
        "note": "",
    }
