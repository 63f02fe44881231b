"""A leaderboard with uncertainty: 59 LLMs compared by 124 people, 39% ties.

Run:  python examples/llmfao.py [output folder]

Data: LLMFAO by Dmitry Ustalov, CC BY 4.0; 8,931 votes. Ties are modelled (Davidson), not split in halves, and being
shown on the left may help. The same pairs judged by GPT-4 are fitted too, to see how its order differs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def votes(name: str, facets: tuple[str, ...] = ()) -> ps.PairTable:
    """One of the vote files."""
    path = DATA / "llmfao" / f"{name}-comparisons.csv"
    return ps.PairTable.read(path, left="left", right="right", outcome="winner", facets=facets)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = ps.BradleyTerry(ties="davidson", position=True)
    crowd = votes("crowd", facets=("worker",))
    fit = ps.fit(model, crowd)
    print(fit.summary())
    board = ps.rank_intervals(fit)
    print(board.sort_values("rank").head(12).round(2).to_string(index=False))
    position = fit.estimates("position").iloc[0]
    low, high = position["lower"], position["upper"]
    print(f"\nBeing on the left is worth {position['estimate']:.2f} logits (95% {low:.2f} to {high:.2f})")

    # Penalised, because GPT-4 lets one model lose every time: maximum likelihood has no finite answer for it.
    gpt4 = ps.fit(model, votes("gpt4-crowd"), engine=ps.MAP())
    ours, its = (f.estimates("item").set_index("level")["estimate"] for f in (fit, gpt4))
    golden = pd.read_csv(DATA / "llmfao" / "evalica_llmfao-golden.csv")
    half_ties = golden[golden["algorithm"] == "bradley_terry"].set_index("item")["score"]
    print(f"Correlation with GPT-4 as the judge: {ours.corr(its.reindex(ours.index)):.2f}")
    print(
        f"Correlation with a fit that counts ties as half wins: {ours.corr(np.log(half_ties.reindex(ours.index))):.3f}"
    )
    page = ps.report(fit, crowd, title="LLMFAO: 59 models, 124 people").save(out / "llmfao.html")
    print(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
