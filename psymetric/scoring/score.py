"""Measures of subjects from a fit."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd

from psymetric.core.provenance import Provenance
from psymetric.data.responses import ResponseTable
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.space import has_ability, has_dimensions
from psymetric.scoring.alignment import align, match
from psymetric.scoring.dimensions import score_dimensions
from psymetric.scoring.methods import (
    CARRIED,
    HELD,
    Method,
    Parameters,
    Request,
    from_draws,
    from_points,
    from_posterior,
    own_measures,
)
from psymetric.scoring.nested import check_rows, extremes_of
from psymetric.scoring.population import keeps_subjects

__all__ = ["score"]

_WHO = "score"
_BEYOND = 50.0
"""Logits that no estimate reaches but one that runs away."""
_KNOW_DEPENDENCE = ("eap", "map", "plausible")
"""Methods that know what responses of one subject share beyond the subject (`RaschTestlet`, `HierarchicalRater`)."""


def score(
    fit: Fit,
    table: ResponseTable,
    *,
    method: Method = "eap",
    level: float = 0.95,
    draws: int = 10,
    seed: int = 0,
    adjustment: float = 0.3,
    parameters: Parameters = "as_fitted",
    parameter_draws: int = 200,
) -> Scores:
    r"""Measures of subjects, in logits on the scale of the fit.

    | method | estimate | standard error | interval |
    |---|---|---|---|
    | `eap` | posterior mean | posterior sd | posterior quantiles |
    | `sum_eap` | posterior mean given the sum of the responses only | posterior sd | posterior quantiles |
    | `map` | posterior mode | curvature at the mode | normal |
    | `ml` | maximum likelihood; extreme scores moved inwards by `adjustment` | $1/\sqrt{I}$ | normal |
    | `wle` | Warm's weighted likelihood, finite for extreme scores | $1/\sqrt{I}$ | normal |
    | `plausible` | as `eap`; draws from each posterior in `pv1`, `pv2`, … | posterior sd | posterior quantiles |

    `sum_eap` gives one measure per sum score of the same cells. Where the sum is all that counts (the Rasch family) it
    is `eap`; where items differ in discrimination it forgoes a little precision for a table that anyone can read. A
    sum over different cells is judged by its own cells, and a missing response is no zero.

    EAP and MAP are drawn towards the population mean, more so the fewer the responses; ML and WLE are not. Plausible
    values are for group statistics: compute the statistic once per `pv` column and pool.

    The table need not be the fitted one: levels and categories are matched by label, and subjects may be new. Missing
    responses are left out (ignorable), never scored.

    What the errors carry besides the spread of a subject's own responses, and `Scores.carries` says:

    | `parameters` | items, judges, steps and population |
    |---|---|
    | `as_fitted` | known, but where the fit has measures of these very subjects |
    | `known` | known |
    | `uncertain` | as uncertain as the fit says, all together and not one by one |

    Measures of its own, on the table it was fitted to, has a fit with draws (`eap` and `plausible` of `Laplace` and
    `NUTS`) and a `JointML` fit (`ml`); both carry the uncertainty of everything else.

    With `uncertain`, `eap`, `sum_eap` and `plausible` average each posterior over joint draws of the parameters: draws
    of the fit, or of the normal distribution at its estimates on the scale without bounds. The variance is then the
    mean variance plus the variance of the means, and the interval is that of the mixture; every `pv` has a draw of its
    own, so that group statistics carry what all subjects share. `ml`, `wle` and `map` keep their estimate and add the
    variance that the parameters' own brings by the delta method, whose derivatives are exact: for point estimates it
    needs no random numbers and is hundreds of times cheaper; it takes the errors of the parameters as independent of
    the responses scored, which they are for new subjects. After `robust_errors` or `Bootstrap.to_fit` the parameters
    are as uncertain as these say. After `JointML` the population, which it does not have, counts as known.

    Args:
        fit: A fit of a model with subjects.
        table: Responses of the subjects to score.
        method: Which estimate.
        level: Coverage of the intervals, in (0, 1).
        draws: Plausible values per subject.
        seed: Seed of the plausible values and of the parameters' draws.
        adjustment: Score points by which `ml` moves an extreme score inwards, in (0, 0.5). The own measures of a
            `JointML` fit keep the adjustment they were fitted with.
        parameters: Whether items, judges, steps and population are known or uncertain.
        parameter_draws: Draws of uncertain parameters; 200 give the added sd to about 5%.

    Returns:
        One row per subject of the table: subject, estimate, se, lower, upper, n (sum of weights), extreme (all
        responses the lowest, or all the highest, in reach), and `pv1`… for plausible values. NaN only where `notes`
        says why. A model of several dimensions gives one row per subject and `dimension` (`eap`, `map` and
        `plausible` only); each rests on the responses to all dimensions, through their correlations.

    Raises:
        DataError: A model without subjects, an unknown level, category, method or facet, a population that cannot be
            estimated (JointML), a sum score of responses whose weights are not whole numbers, or uncertain parameters
            of a fit that does not say how uncertain.

    Source: Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444 (EAP); Warm (1989), Psychometrika 54,
    427-450 (WLE); Thissen, Pommerich, Billeaud & Williams (1995), Applied Psychological Measurement 19, 39-49 (sum
    scores); Mislevy (1991), Psychometrika 56, 177-196 (plausible values); uncertain parameters: Yang, Hansen & Cai
    (2012), Educational and Psychological Measurement 72, 264-290 (draws); Cheng & Yuan (2010), Psychometrika 75,
    280-291 (delta method).
    """
    asked = Request(method, level, draws, seed, adjustment, parameters, parameter_draws)
    _check(fit, asked)
    return (_on_dimensions if has_dimensions(fit.model) else _on_one)(fit, table, asked)


def _on_one(fit: Fit, table: ResponseTable, asked: Request) -> Scores:
    method = asked.method
    rows = (match if method in _KNOW_DEPENDENCE else align)(fit, table, who=_WHO)
    same = table.hash == fit.table_hash and tuple(table.levels["subject"]) == tuple(fit.levels.get("subject", ()))
    own = same and asked.parameters != "known"
    by_fit = own and method == "ml" and keeps_subjects(fit)
    if not by_fit:
        check_rows(rows, who=_WHO)
    extremes = extremes_of(rows)
    if own and method in ("eap", "plausible") and fit.draws is not None and ABILITY in fit.draws:
        found = from_draws(fit, asked)
    elif method in ("eap", "sum_eap", "plausible"):
        found = from_posterior(fit, table, rows, asked)
    elif by_fit:
        found = own_measures(fit, asked)
    else:
        found = from_points(fit, table, rows, extremes, asked)
    n = rows.by_subject(np.ones(table.n_rows))
    known = {"estimate": found.estimate, "se": found.se, "lower": found.lower, "upper": found.upper, "n": n}
    frame = pd.DataFrame({"subject": list(rows.subjects), **known, "extreme": extremes.either & (n > 0), **found.extra})
    names = ("method", "level", "adjustment", "parameters")
    settings = {name: getattr(asked, name) for name in names} | {"fit": fit.table_hash, "engine": fit.engine}
    return Scores(
        frame,
        method=method,
        level=asked.level,
        carries=found.carries,
        notes=(*found.notes, *_notes(frame, method, asked.adjustment, by_fit=by_fit)),
        provenance=Provenance(table.hash, settings, asked.seed if found.is_random else None),
    )


def _on_dimensions(fit: Fit, table: ResponseTable, asked: Request) -> Scores:
    if asked.parameters == "uncertain":
        raise DataError(
            f"{_WHO}: parameters='uncertain' is for one dimension, and {type(fit.model).__name__} measures several: "
            "fit with Laplace() or NUTS(), whose scores of the fitted table carry the uncertainty of its parameters"
        )
    own = asked.parameters != "known" and table.hash == fit.table_hash
    method, level, seed = asked.method, asked.level, asked.seed
    rows = match(fit, table, who=_WHO)
    found = score_dimensions(fit, rows, method=method, level=level, draws=asked.draws, seed=seed, own=own)
    settings = {"method": method, "level": level, "fit": fit.table_hash, "engine": fit.engine}
    n_extreme = int(found.frame["extreme"].sum())
    extreme = f"{n_extreme} of {len(found.frame)} measures rest on responses that are all lowest or all highest"
    return Scores(
        found.frame,
        method=method,
        level=level,
        carries=CARRIED if found.from_draws else HELD,
        notes=(extreme,) if n_extreme else (),
        provenance=Provenance(table.hash, settings, seed if method == "plausible" else None),
    )


def _check(fit: Fit, asked: Request) -> None:
    if not has_ability(fit.model):
        raise DataError(
            f"{_WHO}: {type(fit.model).__name__} has no subjects to score: "
            'use fit.estimates("item") and rank_intervals(fit)'
        )
    for name, known in (("method", Method), ("parameters", Parameters)):
        if getattr(asked, name) not in get_args(known):
            raise DataError(f"{_WHO}: {name}={getattr(asked, name)!r} is not known: use one of {list(get_args(known))}")
    if not 0 < asked.level < 1:
        raise DataError(f"{_WHO}: level={asked.level} is not a coverage between 0 and 1, such as 0.95")
    if asked.draws < 1:
        raise DataError(f"{_WHO}: draws={asked.draws} plausible values; ask for at least 1")
    if asked.parameter_draws < 2:
        raise DataError(f"{_WHO}: parameter_draws={asked.parameter_draws}; ask for at least 2, better 200")
    if not 0 < asked.adjustment < 0.5:
        raise DataError(f"{_WHO}: adjustment={asked.adjustment} must lie between 0 and 0.5 score points, such as 0.3")


def _notes(frame: pd.DataFrame, method: str, adjustment: float, *, by_fit: bool) -> tuple[str, ...]:
    notes: list[str] = []
    n_extreme, n_unknown = int(frame["extreme"].sum()), int(frame["estimate"].isna().sum())
    if n_extreme and method == "ml" and not by_fit:
        notes.append(
            f"{n_extreme} of {len(frame)} subjects have an extreme score; their estimates rest on a score "
            f"moved inwards by {adjustment:g} points"
        )
    elif n_extreme:
        notes.append(f"{n_extreme} of {len(frame)} subjects have an extreme score (all lowest or all highest)")
    if n_beyond := int(np.count_nonzero(frame["estimate"].abs() > _BEYOND)):
        notes.append(
            f"{n_beyond} of {len(frame)} subjects have a likelihood that rises without end, as one of guessing does: "
            f'their {method} estimates are where the search stopped and mean nothing; use method="wle" or "eap"'
        )
    if n_unknown:
        notes.append(
            f"{n_unknown} of {len(frame)} subjects have no response that could differ and therefore no {method} "
            'estimate; method="eap" gives them the population'
        )
    return tuple(notes)
