"""The ideal category of each piece of work, with its uncertainty, from a hierarchical rater model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.nested import AbstractNestedModel
from psymetric.scoring.alignment import match
from psymetric.scoring.nested import check_rows, nested_posterior
from psymetric.scoring.population import population_of

__all__ = ["ideal_ratings"]

_WHO = "ideal_ratings"


def ideal_ratings(fit: Fit, table: ResponseTable) -> pd.DataFrame:
    """What each piece of work deserves by all that its judges said: the consensus rating with its uncertainty.

    The posterior of the ideal category given every response of the subject, precise judges counting for more than
    noisy ones, severity and the use of the scale taken out, the subject's other work taken into account. Items, judges
    and population are taken as known. Missing responses are left out; work that nobody rated has no row.

    Args:
        fit: A fit of `HierarchicalRater`.
        table: Responses; levels and categories are matched by label, and subjects may be new.

    Returns:
        One row per rated piece of work: subject, item, `p_<category>` for each category (rows summing to one), mode
        (the most probable category, as labelled), expected (in scores 0…K−1), sd, n (sum of weights).

    Raises:
        DataError: A fit of another model, an unknown level, category or facet.

    Source: DeCarlo, Kim & Johnson (2011), Journal of Educational Measurement 48, 333-356.
    """
    model = fit.model
    if not isinstance(model, AbstractNestedModel) or model.n_states(len(fit.categories)) is None:
        raise DataError(f"{_WHO}: {type(model).__name__} has no ideal categories: fit HierarchicalRater()")
    rows = match(fit, table, who=_WHO)
    check_rows(rows, who=_WHO)
    mean, sd, _ = population_of(fit, table, who=_WHO)
    posterior, nested = nested_posterior(rows, model, mean, sd)
    chance, _ = nested.inner(posterior)
    score = np.arange(chance.shape[1])
    expected = chance @ score
    frame = pd.DataFrame(
        {
            "subject": [rows.subjects[code] for code in nested.subject],
            model.within: [fit.levels[model.within][code] for code in nested.level],
            **{f"p_{label}": chance[:, place] for place, label in enumerate(fit.categories)},
            "mode": [fit.categories[place] for place in chance.argmax(axis=1)],
            "expected": expected,
            "sd": np.sqrt(np.maximum(chance @ score**2 - expected**2, 0.0)),
            "n": np.bincount(nested.owner, nested.rows.weight, len(nested.subject)),
        }
    )
    return frame[frame["n"] > 0].reset_index(drop=True)
