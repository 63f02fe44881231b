"""Checking, before anything is asked, that a plan's levels can be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psymetric.data.connectivity import Connectivity, connectivity
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DesignError

__all__ = ["check_links"]


def check_links(frame: pd.DataFrame, facets: tuple[str, ...], *, who: str) -> None:
    """Check that the plan would link all levels of its facets if every answer came.

    Args:
        frame: Plan rows.
        facets: Facets that vary, besides the subject.
        who: What errors call the plan.

    Raises:
        DesignError: Some levels could not be compared; names the subsets.
    """
    if frame["left"].notna().any():
        # Ties, so that only the graph of who meets whom counts.
        table = PairTable.from_frame(
            frame[["left", "right"]].assign(outcome="tie"), left="left", right="right", outcome="outcome"
        )
        found = connectivity(table)
        broken = found.n_subsets > 1
    else:
        columns = ["subject", *facets]
        rows = frame[columns].assign(response=np.arange(len(frame)) % 2)
        names = tuple(facet for facet in facets if facet != "item")
        item = "item" if "item" in facets else None
        found = connectivity(
            ResponseTable.from_frame(
                rows, response="response", subject="subject", item=item, facets=names, categories=(0, 1)
            )
        )
        broken = found.n_subsets > 1 or bool(found.nested) or bool(found.nested_subjects)
    if broken:
        raise DesignError(
            f"{who}: this plan could not compare what it measures. {_reason(found)} Before asking: raise calls or "
            f"judges_per_subject, vary fewer facets, or name in model.facets only those that the model needs."
        )


def _reason(found: Connectivity) -> str:
    """The subsets, or the first two facets that fall into groups and how many more do."""
    nestings = [*found.nested, *found.nested_subjects]
    if found.n_subsets > 1 or not nestings:
        return found.describe()
    more = f" So are {len(nestings) - 1} more pairs of facets." if len(nestings) > 1 else ""
    return f"{nestings[0].describe()}{more}"
