"""What several judges on the same items identify, which their margins do not: Kruskal's condition.

Judges that err independently given the truth make the labels of an item a mixture of products. With three judges or
more its parts are determined up to the names of the true levels, at almost every value of the parameters, where the
ranks of three groups of judges add up to twice the number of levels plus two (Kruskal, 1977, Linear Algebra and its
Applications 18, 95-138; Allman, Matias & Rhodes, 2009, Annals of Statistics 37, 3099-3132, theorem 4). Candidates of
different true levels who are judged alike serve as one more group, so that two judges may do (Hui & Walter, 1980,
Biometrics 36, 167-171).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from psymetric.data.messages import counted, nearest
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["ItemIdentification", "item_identification", "kruskal_sum"]


@dataclass(frozen=True, eq=False)
class ItemIdentification:
    """Whether item-level labels determine judges and candidates, if judges err independently given the truth.

    Attributes:
        designs: One row per number of judges on one and the same item: `judges`; `items`, how many have that many;
            `ranks_alone`, the sum of ranks of one candidate's items; `ranks_together`, that of all candidates' items,
            taken to be judged alike and to differ in their true levels; `needed`; `identified`: `"alone"`,
            `"together"` or `"no"`.
        judges: One row per judge: `judge`; `items`; `most`, judges on its best-covered item; `identified`, as above for
            that many.
        n_levels: Number of true levels.
    """

    designs: pd.DataFrame
    judges: pd.DataFrame
    n_levels: int

    @property
    def identified(self) -> str:
        """The weakest of all judges: `"alone"`, `"together"` or `"no"`."""
        return max(self.judges["identified"], key=("alone", "together", "no").index)

    def describe(self) -> str:
        """The condition and whether it holds, in words."""
        most, items = int(self.designs["judges"].max()), int(self.designs.iloc[-1]["items"])
        first = f"At most {counted(most, 'judge')} labelled one item ({counted(items, 'such item')})."
        words = {
            "alone": "If they err independently given the truth, item-level labels determine every judge and each "
            "candidate, up to the names of the levels.",
            "together": "If they err independently given the truth and treat candidates alike, and these differ, "
            "item-level labels determine every judge and candidate, up to the names of the levels.",
            "no": "Not every judge is determined by item-level labels: let three judges or more label the same items, "
            "or add true labels.",
        }[self.identified]
        return f"{first} {words}"


def item_identification(
    table: ResponseTable,
    *,
    candidate: str = "subject",
    item: str = "item",
    judge: str = "judge",
    n_levels: int | None = None,
) -> ItemIdentification:
    """Whether the design of a table meets Kruskal's condition. It depends on who labelled what, not on the labels.

    Args:
        table: Labels of judges. Rows without a response and rows of weight 0 do not count.
        candidate: Facet whose levels are compared.
        item: Facet of what a candidate answered; one candidate's answer to one item is what judges label.
        judge: Facet whose levels judge.
        n_levels: Number of true levels, by default that of the labels.

    Raises:
        DataError: A facet that the table does not have, or fewer than two levels.
    """
    for facet in (candidate, item, judge):
        if facet not in table.codes:
            raise DataError(f"item_identification: no facet {facet!r}; {nearest(facet, table.codes)}")
    levels = table.n_categories if n_levels is None else n_levels
    if levels < 2:
        raise DataError(f"item_identification: n_levels={levels}; there are two true levels at least")
    rows = table.weight > 0
    met = np.unique(np.stack([table.codes[name][rows] for name in (candidate, item, judge)], axis=1), axis=0)
    _, unit, size = np.unique(met[:, :2], axis=0, return_inverse=True, return_counts=True)
    n_candidates = len(np.unique(met[:, 0]))
    counts, n_items = np.unique(size, return_counts=True)
    designs = pd.DataFrame({"judges": counts, "items": n_items})
    designs["ranks_alone"] = [kruskal_sum(n, table.n_categories, levels) for n in counts.tolist()]
    designs["ranks_together"] = [
        kruskal_sum(n, table.n_categories, levels, n_candidates=n_candidates) for n in counts.tolist()
    ]
    designs["needed"] = 2 * levels + 2
    designs["identified"] = np.select(
        [designs["ranks_alone"] >= designs["needed"], designs["ranks_together"] >= designs["needed"]],
        ["alone", "together"],
        "no",
    )
    most = np.zeros(len(table.levels[judge]), np.int64)
    np.maximum.at(most, met[:, 2], size[unit.ravel()])
    used = np.flatnonzero(most)
    judges = pd.DataFrame(
        {
            "judge": [table.levels[judge][place] for place in used],
            "items": np.bincount(met[:, 2], minlength=len(most))[used],
            "most": most[used],
        }
    )
    judges["identified"] = judges["most"].map(designs.set_index("judges")["identified"])
    return ItemIdentification(designs, judges, levels)


def kruskal_sum(n_judges: int, n_labels: int, n_levels: int, *, n_candidates: int = 1) -> int:
    """The largest sum of generic ranks of three groups of judges and candidates; 0 where there are no three groups.

    A group of n judges has rank min(levels, labelsⁿ); C candidates count as one more judge with C labels.

    Args:
        n_judges: Judges of the same item.
        n_labels: Labels that each may give.
        n_levels: True levels.
        n_candidates: Candidates that are judged alike; 1 uses no candidates.
    """
    # A dozen judges fill any rank; more of them only lengthen the list of groupings.
    n = min(n_judges, 3 * int(np.ceil(np.log(n_levels) / np.log(n_labels)) + 1))
    best = 0
    for one, two in product(range(n + 1), repeat=2):
        sizes = (one, two, n - one - two)
        if min(sizes) < 0:
            continue
        for place in range(3):
            states = [n_labels**size for size in sizes]
            states[place] *= n_candidates
            if min(states) > 1:
                best = max(best, sum(min(n_levels, count) for count in states))
    return best
