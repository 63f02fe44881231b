"""Psychometric measurement and calibration of LLM judges.

Names are loaded on first use, so that `import psymetric` stays light (no JAX, no pandas).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# The one map from public name to the module that owns it; `tests/house/test_public_api.py` keeps it true.
_EXPORTS = {
    "BradleyTerry": "psymetric.models.bradley_terry",
    "Connectivity": "psymetric.data.connectivity",
    "Fit": "psymetric.estimation.fit",
    "FitSet": "psymetric.estimation.fitting",
    "JointML": "psymetric.estimation.joint_ml",
    "Laplace": "psymetric.estimation.map_laplace",
    "MAP": "psymetric.estimation.map_laplace",
    "ManyFacetRasch": "psymetric.models.many_facet",
    "MarginalML": "psymetric.estimation.marginal_ml",
    "NUTS": "psymetric.estimation.nuts",
    "NonResponse": "psymetric.data.nonresponse",
    "PairTable": "psymetric.data.pairs",
    "Plan": "psymetric.design.plan",
    "Rasch": "psymetric.models.rasch",
    "Report": "psymetric.reporting.report",
    "ResponseTable": "psymetric.data.responses",
    "Scores": "psymetric.data.scores",
    "Study": "psymetric.design.study",
    "administer": "psymetric.administration.administer",
    "bias_analysis": "psymetric.diagnostics.bias",
    "category_statistics": "psymetric.diagnostics.categories",
    "connectivity": "psymetric.data.connectivity",
    "facet_summary": "psymetric.diagnostics.facets",
    "fair_averages": "psymetric.scoring.fair",
    "fit": "psymetric.estimation.fitting",
    "fit_each": "psymetric.estimation.fitting",
    "fit_statistics": "psymetric.diagnostics.residuals",
    "load_instrument": "psymetric.instruments.library",
    "p_best": "psymetric.scoring.ranks",
    "plan": "psymetric.design.plan",
    "rank_intervals": "psymetric.scoring.ranks",
    "report": "psymetric.reporting.report",
    "score": "psymetric.scoring.score",
    "to_table": "psymetric.administration.tables",
}

__all__ = ["__version__", *sorted(_EXPORTS)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    if name[:1].isupper():
        # A model is public as soon as its file exists: nothing here has to name it.
        from psymetric.models.discovery import available_models

        if name in (models := available_models()):
            return models[name]
    raise AttributeError(f"module 'psymetric' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from psymetric.administration.administer import administer as administer
    from psymetric.administration.tables import to_table as to_table
    from psymetric.data.connectivity import Connectivity as Connectivity, connectivity as connectivity
    from psymetric.data.nonresponse import NonResponse as NonResponse
    from psymetric.data.pairs import PairTable as PairTable
    from psymetric.data.responses import ResponseTable as ResponseTable
    from psymetric.data.scores import Scores as Scores
    from psymetric.design.plan import Plan as Plan, plan as plan
    from psymetric.design.study import Study as Study
    from psymetric.diagnostics.bias import bias_analysis as bias_analysis
    from psymetric.diagnostics.categories import category_statistics as category_statistics
    from psymetric.diagnostics.facets import facet_summary as facet_summary
    from psymetric.diagnostics.residuals import fit_statistics as fit_statistics
    from psymetric.estimation.fit import Fit as Fit
    from psymetric.estimation.fitting import FitSet as FitSet, fit as fit, fit_each as fit_each
    from psymetric.estimation.joint_ml import JointML as JointML
    from psymetric.estimation.map_laplace import MAP as MAP, Laplace as Laplace
    from psymetric.estimation.marginal_ml import MarginalML as MarginalML
    from psymetric.estimation.nuts import NUTS as NUTS
    from psymetric.instruments.library import load_instrument as load_instrument
    from psymetric.models.bradley_terry import BradleyTerry as BradleyTerry
    from psymetric.models.many_facet import ManyFacetRasch as ManyFacetRasch
    from psymetric.models.rasch import Rasch as Rasch
    from psymetric.reporting.report import Report as Report, report as report
    from psymetric.scoring.fair import fair_averages as fair_averages
    from psymetric.scoring.ranks import p_best as p_best, rank_intervals as rank_intervals
    from psymetric.scoring.score import score as score
