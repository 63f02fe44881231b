"""New rankings from a fitted model, in the design of those that were fitted."""

from __future__ import annotations

from typing import cast

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.ranking_rows import BEST_WORST
from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.choice import AbstractChoiceModel

__all__ = ["has_full_choices", "redrawn_categories", "redrawn_rankings"]

Codes = NDArray[np.int32]

_BEST, _WORST = 0, 2


def has_full_choices(table: RankingTable) -> bool:
    """Whether the model says how every ranking comes about; of a choice of the best alone it may not."""
    category = table.rankings.category
    return not table.is_best_worst or bool(
        np.all((category == _BEST).any(axis=1) & (category == _WORST).any(axis=1), axis=0)
    )


def redrawn_categories(fit: Fit, table: RankingTable, ranking: NDArray[np.int64], *, seed: int) -> Codes:
    """One new outcome of each of the rankings numbered `ranking`, for the items of `table.rankings` in their order.

    Where items were left unranked, as many are ranked again, or a few more where the last place is a tie.

    Returns:
        Category codes, shape (rankings, A): places, the number of items in each of them the last possible; -1 past the
        end. For best-worst choices their codes.

    Raises:
        DataError: Best-worst choices without a best or without a worst item, or parameters that are not finite.
    """
    if not has_full_choices(table):
        raise DataError(
            "drawing best-worst choices anew: some sets have a best or a worst item alone, which are no whole draws of "
            "the model; leave these sets out"
        )
    if bad := [name for name, value in fit.parameters.items() if not np.all(np.isfinite(value))]:
        raise DataError(f"drawing rankings anew: {bad[0]!r} of the fit is not finite: there is no model to draw from")
    found = table.rankings
    codes = {"item": found.item[ranking], "shown": found.category[ranking] >= 0}
    codes |= {name: code[ranking] for name, code in found.codes.items()}
    with double_precision():
        params = jax.device_put(dict(fit.parameters))
        drawn = cast(AbstractChoiceModel, fit.model).simulate(
            params, jax.device_put(codes), len(table.categories), seed=seed
        )
    if table.is_best_worst:
        return drawn
    n_ranked = np.sum((found.category >= 0) & (found.category < len(table.categories) - 1), axis=1)[ranking]
    return _cut(drawn, n_ranked)


def _cut(drawn: Codes, n_ranked: NDArray[np.int64]) -> Codes:
    """Places that begin beyond the number of ranked items are one place, the last."""
    n_above = np.sum((drawn[:, None] < drawn[:, :, None]) & (drawn[:, None] >= 0), axis=2)
    return np.where((drawn >= 0) & (n_above >= n_ranked[:, None]), drawn.shape[1], drawn).astype(np.int32)


def redrawn_rankings(fit: Fit, table: RankingTable, ranking: NDArray[np.int64], *, seed: int) -> RankingTable:
    """`redrawn_categories` as a table, in which every draw is a task of its own."""
    drawn, found = redrawn_categories(fit, table, ranking, seed=seed), table.rankings
    row, place = np.nonzero(drawn >= 0)
    response = drawn[row, place]
    categories = BEST_WORST
    if not table.is_best_worst:
        unranked = response == drawn.shape[1]
        n_places = int(response[~unranked].max()) + 1
        response = np.where(unranked, n_places, response)
        categories = (*(str(k + 1) for k in range(n_places)), table.categories[-1])
    codes = {name: code[ranking][row] for name, code in found.codes.items() if name != "task"}
    return RankingTable(
        codes={"task": row.astype(np.int32), "item": found.item[ranking][row, place], **codes},
        levels={**table.levels, "task": tuple(range(len(drawn)))},
        response=response.astype(np.int32),
        categories=categories,
        weight=np.ones(len(row)),
        missing=table.missing.iloc[:0],
    )
