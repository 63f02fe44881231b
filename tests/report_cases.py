"""Fits made by hand, for numbers that can be checked on paper."""

from __future__ import annotations

import numpy as np

from psymetric.core.provenance import Provenance
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.models.many_facet import ManyFacetRasch


def fit_of(*, judge: list[float], judge_se: float, population_sd: float) -> Fit:
    """A fit of judges with one standard error and a population."""
    count = len(judge)
    parameters = {"judge": np.array(judge), "population_mean": np.array(0.0), "population_sd": np.array(population_sd)}
    return Fit(
        model=ManyFacetRasch(facets=("judge",)),
        engine="MarginalML",
        status=FitStatus(True, "done", 1),
        log_likelihood=-1.0,
        n_parameters=count,
        n_responses=100.0,
        parameters=parameters,
        standard_errors={
            "judge": np.full(count, judge_se),
            "population_mean": np.array(0.1),
            "population_sd": np.array(0.1),
        },
        covariances={},
        draws=None,
        levels={"subject": ("s", "t"), "judge": tuple(f"j{k}" for k in range(count))},
        categories=(0, 1),
        counts={"judge": np.full(count, 10.0)},
        extremes={},
        penalised=False,
        notes=(),
        provenance=Provenance("0" * 64),
    )
