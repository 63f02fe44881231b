"""A leaderboard with uncertainty: 59 LLMs compared by 124 people, 39% ties.

Run:  python examples/llmfao.py [output folder]

Data: LLMFAO by Dmitry Ustalov, CC BY 4.0; 8,931 votes. Counting ties as half wins gives the published scores; the rest
is what becomes visible when ties are modelled (Davidson), when being shown on the left may help, when people may differ
in how closely they follow the order, and when there may be two kinds of people. The same pairs judged by GPT-4 are
fitted too, to see how its order differs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
TIES = ps.BradleyTerry(ties="davidson")
MODEL = ps.BradleyTerry(ties="davidson", position=True)


def votes(name: str, judge: str | None = None) -> ps.PairTable:
    """One of the vote files."""
    path = DATA / "llmfao" / f"{name}-comparisons.csv"
    return ps.PairTable.read(path, left="left", right="right", outcome="winner", judge=judge)


def worths(fit: ps.Fit) -> pd.Series:
    """Worth of each model."""
    return fit.estimates("item").set_index("level")["estimate"]


def published() -> pd.Series:
    """Scores that evalica publishes for these votes, ties as half wins, in logits."""
    golden = pd.read_csv(DATA / "llmfao" / "evalica_llmfao-golden.csv")
    return np.log(golden[golden["algorithm"] == "bradley_terry"].set_index("item")["score"])


def compared(crowd: ps.PairTable, fit: ps.Fit) -> pd.DataFrame:
    """What ties, position and people change: fit to the votes, and ranks of the first of the full model."""
    # Penalised, because some people always follow the order: no finite discrimination is then the likeliest.
    own = ps.fit(ps.BradleyTerry(ties="davidson", position=True, slopes=("judge",)), crowd, engine=ps.MAP())
    fits = {
        "ties as half wins": ps.fit(ps.BradleyTerry(), crowd.ties_as_half_wins()),
        "ties (Davidson)": ps.fit(TIES, crowd),
        "+ position": fit,
        "+ discrimination": own,
    }
    leaders = ps.rank_intervals(fit).nsmallest(5, "rank")["level"]
    rows = {}
    for name, one in fits.items():
        ranks = ps.rank_intervals(one).set_index("level")
        places = {
            level: f"{row['rank']:.0f} ({row['rank_lower']:.0f}-{row['rank_upper']:.0f})"
            for level, row in ranks.loc[leaders].iterrows()
        }
        # Half wins have another likelihood, and a penalised fit has no AIC: neither is comparable.
        aic = f"{one.aic:,.0f}" if name in ("ties (Davidson)", "+ position") else ""
        rows[name] = {"AIC": aic, "r": f"{worths(one).corr(published()):.3f}", **places}
    return pd.DataFrame(rows)


def kinds(crowd: ps.PairTable, fit: ps.Fit) -> None:
    """Two kinds of people instead of one."""
    two = ps.fit(ps.JudgeMixture(MODEL), crowd)
    print(f"\nTwo kinds of people: AIC {two.aic:,.0f}, {two.aic - fit.aic:,.0f} from one kind")
    effects = {name: two.estimates(name).set_index("level")["estimate"] for name in ("share", "tie", "position")}
    worth = two.estimates("item").pivot(index="item", columns="class", values="estimate")
    print(pd.DataFrame({**effects, "r with all": worth.corrwith(worths(fit))}).round(2))
    print(f"The worths of the two kinds correlate {worth.corr().iloc[0, 1]:.2f}")


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    crowd = votes("crowd", judge="worker")
    fit = ps.fit(MODEL, crowd)
    print(fit.summary())
    board = ps.rank_intervals(fit)
    print(board.sort_values("rank").head(12).round(2).to_string(index=False))
    position = fit.estimates("position").iloc[0]
    low, high = position["lower"], position["upper"]
    print(f"\nBeing on the left is worth {position['estimate']:.2f} logits (95% {low:.2f} to {high:.2f})")

    print("\nWhat the model changes: AIC, correlation with the published scores, ranks with 95% intervals")
    print(compared(crowd, fit).to_string())
    kinds(crowd, fit)

    flags = ps.pair_judges(fit, crowd).frame["flag"].str.replace(r":[^;]*", "", regex=True)
    print(f"\n{(flags != '').sum()} of {len(flags)} people are flagged")
    print(flags[flags != ""].str.split("; ").explode().value_counts().to_string())
    circles = ps.cyclic_triples(crowd, fit=fit)
    print(
        f"\n{circles.n_cyclic} of {circles.n_triples:,} triples of majorities go round in a circle; "
        f"{circles.expected:.0f} expected ({circles.lower:.0f} to {circles.upper:.0f})"
    )

    # Penalised, because GPT-4 lets one model lose every time: maximum likelihood has no finite answer for it.
    gpt4 = ps.fit(MODEL, votes("gpt4-crowd"), engine=ps.MAP())
    print(f"Correlation with GPT-4 as the judge: {worths(fit).corr(worths(gpt4)):.2f}")
    page = ps.report(fit, crowd, title="LLMFAO: 59 models, 124 people").save(out / "llmfao.html")
    print(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
