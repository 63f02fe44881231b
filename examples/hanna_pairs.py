"""Ratings turned into comparisons: 11 story generators on the same 96 prompts, by people and by LLM judges.

Run:  python examples/hanna_pairs.py [output folder]

Data: HANNA (Chhun et al., COLING 2022; TACL 2024), MIT licence. All stories on a prompt that one judge rated under one
criterion and wording make a list, and every two of a list a comparison: judges that use the scale differently can be
joined. What is lost is by how much one rating exceeds another. The pairs of a list hang together, and so do the lists
of a prompt, so that errors are clustered by prompt. The people are anonymous: who gave the first of a story's three
ratings need not have given the first of another's, which makes their comparisons noisier than one reader's would be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
LIST = ("prompt", "item", "judge", "template")


def ratings(who: str) -> ps.ResponseTable:
    """Ratings of a system's story on a prompt, by people ("human") or models ("llm")."""
    frame = pd.read_csv(DATA / "hanna" / "derived_hanna_ratings_long.csv.gz")
    frame = frame[frame["rater_type"] == who].reset_index(drop=True)
    failed = frame["score"] < 0
    frame = pd.DataFrame(
        {
            "system": frame["system"],
            "prompt": frame["prompt_index"],
            "criterion": frame["criterion"],
            "judge": frame["rater"],
            "template": frame["eval_prompt"].fillna(0).astype(int),
            "rating": np.floor(frame["score"] + 0.5).clip(1, 5).where(~failed),
            "reason": np.where(failed, "unparsable", None),
        }
    )
    columns = {"response": "rating", "subject": "system", "item": "criterion", "reason": "reason"}
    return ps.ResponseTable.from_frame(frame, facets=("prompt", "judge", "template"), **columns)


def leaderboard(table: ps.ResponseTable) -> tuple[ps.Fit, ps.PairTable]:
    """Worths of the systems from comparisons within lists."""
    pairs = ps.pairs_from_ratings(table, by=LIST, weights="list")
    return ps.robust_errors(ps.fit(ps.BradleyTerry(ties="davidson"), pairs), pairs, cluster="prompt"), pairs


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rated = {"people": ratings("human"), "models": ratings("llm")}
    found = {who: leaderboard(table) for who, table in rated.items()}
    side = {}
    for who, (fit, pairs) in found.items():
        lists = len(pairs.levels["list"])
        tied = (pairs.response == 2).mean()
        print(f"{who}: {lists:,} lists make {pairs.n_rows:,} comparisons, {tied:.0%} ties")
        side[who] = ps.rank_intervals(fit).set_index("level")
    board = pd.concat(side, axis=1).sort_values(("people", "rank"))
    print(board.round(2).to_string())
    worth = pd.DataFrame({who: frame["estimate"] for who, frame in side.items()})
    print(f"\nRank correlation of the two boards: {worth.corr(method='spearman').iloc[0, 1]:.2f}")

    # The worths keep what the ratings say of the order, though not how far apart two ratings are.
    for who, table in rated.items():
        means = table.to_frame().groupby("subject")["response"].mean()
        print(f"Worths with mean ratings by {who}: r = {worth[who].corr(means):.3f}")
    fit, pairs = found["models"]
    page = ps.report(fit, pairs, title="HANNA: 11 story generators compared by LLM judges")
    print(f"wrote {page.save(out / 'hanna_pairs.html')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
