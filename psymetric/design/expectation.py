"""What a plan will cost and how precise it will be, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.providers.base import ModelEndpoint

__all__ = ["CostEstimate", "count_levels", "estimate_cost", "expected_errors", "rating_information"]

_FACETS: Final = (
    *("subject", "left", "right", "item", "judge", "template", "order", "label"),
    *("replacement", "position", "occasion"),
)
_LEAST, _MOST = 0.75, 1.5
_USUAL_ANSWER: Final = 3
_SPREAD_STEPS: Final = 1.4
_PAIR_INFORMATION: Final = 0.25


@dataclass(frozen=True)
class CostEstimate:
    """Tokens and cost of a plan, with the assumptions behind them.

    Attributes:
        frame: One row per endpoint: `endpoint`, `calls`, and `prompt_tokens`, `completion_tokens`, `cost` with their
            `_low` and `_high`. Costs are missing where the study gives no price.
        assumptions: What the numbers rest on.
    """

    frame: pd.DataFrame
    assumptions: tuple[str, ...]

    @property
    def calls(self) -> int:
        """Requests."""
        return int(self.frame["calls"].sum())

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Low, expected and high number of tokens, prompts and answers together."""
        low, middle, high = (
            int(self.frame[f"prompt_tokens{end}"].sum() + self.frame[f"completion_tokens{end}"].sum())
            for end in ("_low", "", "_high")
        )
        return low, middle, high

    @property
    def cost(self) -> tuple[float, float, float] | None:
        """Low, expected and high cost in the currency of the prices; None unless every endpoint has a price."""
        if self.frame["cost"].isna().any():
            return None
        low, middle, high = (float(self.frame[f"cost{end}"].sum()) for end in ("_low", "", "_high"))
        return low, middle, high

    def __str__(self) -> str:
        low, middle, high = self.tokens
        text = f"{self.calls:,} requests, about {middle:,} tokens ({low:,} to {high:,})"
        if self.cost is None:
            return f"{text}, cost not known: not every endpoint has a price"
        low, middle, high = self.cost
        return f"{text}, cost about {middle:.2f} ({low:.2f} to {high:.2f})"


def count_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of every level of every facet of a plan: `facet`, `level`, `rows`, most frequent first within a facet."""
    parts = [
        pd.DataFrame({"facet": facet, "level": counts.index.astype(str), "rows": counts.to_numpy()})
        for facet in _FACETS
        if not (counts := frame[facet].value_counts().sort_index().sort_values(ascending=False, kind="stable")).empty
    ]
    return pd.concat(parts, ignore_index=True)


def estimate_cost(frame: pd.DataFrame, endpoints: Mapping[str, ModelEndpoint], max_tokens: int) -> CostEstimate:
    """Tokens and cost by endpoint.

    Args:
        frame: Plan rows, with `tokens` estimated per prompt.
        endpoints: By name.
        max_tokens: Cap on an answer where an endpoint has none.
    """
    rows: list[dict[str, object]] = []
    for name, group in frame.groupby("endpoint", sort=False):
        endpoint = endpoints[str(name)]
        cap = max_tokens if endpoint.max_tokens is None else endpoint.max_tokens
        calls, prompt = len(group), int(group["tokens"].sum())
        row: dict[str, object] = {"endpoint": str(name), "calls": calls}
        ends = {"_low": (_LEAST, 1), "": (1.0, min(_USUAL_ANSWER, cap)), "_high": (_MOST, cap)}
        for end, (factor, answer) in ends.items():
            asked, answered = round(prompt * factor), calls * answer
            row[f"prompt_tokens{end}"], row[f"completion_tokens{end}"] = asked, answered
            row[f"cost{end}"] = np.nan if endpoint.price is None else endpoint.price.cost(asked, answered)
        rows.append(row)
    unpriced = [str(row["endpoint"]) for row in rows if endpoints[str(row["endpoint"])].price is None]
    assumptions = (
        "Prompt tokens: a quarter of the ASCII characters plus one for every other character; "
        f"the interval is {_LEAST:g} to {_MOST:g} times that, because tokenizers differ.",
        f"Answer tokens: 1 to the cap on an answer (max_tokens), {_USUAL_ANSWER} expected. A model that reasons before "
        "it answers uses its whole cap, and may be charged for reasoning beyond it.",
        "No request is retried or answered from a store or cache.",
        *((f"No price is given for {', '.join(unpriced)}: their cost is not known.",) if unpriced else ()),
    )
    return CostEstimate(pd.DataFrame(rows), assumptions)


def expected_errors(frame: pd.DataFrame, n_categories: int) -> pd.DataFrame:
    """Expected standard error of each subject, or compared text, in logits.

    One answer about a subject at the centre of the scale carries the information of `rating_information`; n answers
    carry n times that, and the standard error is its inverse root. One comparison of evenly matched texts carries
    p(1 - p) = 1/4 about their difference, which gives SE ≈ sqrt(4 / n) for a text compared n times with many others.

    Too small where subjects lie off the centre, where judges or items are few and estimated from the same answers,
    where answers of one judge to several wordings resemble one another, and where answers are missing. It ranks
    designs; the fit gives the error to report.

    Args:
        frame: Plan rows.
        n_categories: Categories of an answer.

    Returns:
        `trait` (missing where items have none), `subject`, `answers`, `se_low`, `se_high`.
    """
    if frame["left"].notna().any():
        counts = pd.concat([frame["left"], frame["right"]]).value_counts().sort_index()
        se = 1 / np.sqrt(counts.to_numpy() * _PAIR_INFORMATION)
        keys = pd.DataFrame({"trait": pd.array([pd.NA] * len(counts), dtype="str"), "subject": counts.index})
        return keys.assign(answers=counts.to_numpy(), se_low=se, se_high=se)
    grouped = frame.groupby(["trait", "subject"], dropna=False).size().reset_index(name="answers")
    n = grouped["answers"].to_numpy()
    even, spread = rating_information(n_categories, 0.0), rating_information(n_categories, _SPREAD_STEPS)
    return grouped.assign(se_low=1 / np.sqrt(n * even), se_high=1 / np.sqrt(n * spread))


def rating_information(n_categories: int, step_gap: float) -> float:
    """Fisher information about a subject in one rating at the centre of its scale, in logits⁻².

    The variance of the category under the rating-scale model with steps `step_gap` logits apart. With a gap of 0 all K
    categories are equally likely and it is (K² - 1) / 12, the largest value with ordered steps; 1.4 logits is the least
    gap that Linacre (2002) asks of a three-category scale.

    Source: Samejima (1969), Psychometrika Monograph 17, for the information; Linacre (2002), Journal of Applied
        Measurement 3(1), 85-106, for the gap.
    """
    code: NDArray[np.float64] = np.arange(n_categories, dtype=np.float64)
    steps = step_gap * (np.arange(n_categories - 1) - (n_categories - 2) / 2)
    logits = np.concatenate([[0.0], np.cumsum(-steps)])
    p = np.exp(logits - logits.max())
    p /= p.sum()
    return float(p @ code**2 - (p @ code) ** 2)
