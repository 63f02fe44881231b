"""People against GPT-4 on MT-bench: how often they agree, and what the length of an answer is worth to each.

Run:  python examples/mtbench.py [output folder]

Data: MT-bench human judgements beside GPT-4's (Zheng et al., 2023), CC BY 4.0; 6 models, 80 questions of two turns,
1,751 votes of experts. GPT-4's verdict on a pair is one vote, however many experts saw that pair; where its answers in
the two orders contradict one another it is a tie, upstream's own rule. Errors are clustered by question, whose votes
hang together. Length is that of both turns together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
GPT4 = "gpt4_pair"
BEYOND = "extra_length"


def votes() -> ps.PairTable:
    """Votes of experts and GPT-4, with the kind of judge and how far the left answer is longer, in 1,000 characters."""
    path = DATA / "mtbench" / "derived_mtbench_human_gpt4_pairs.csv.gz"
    frame = ps.read_mt_bench(path, length="characters", outcomes={"tie (inconsistent)": "tie"}).to_frame()
    frame["kind"] = frame["judge"].map(lambda judge: "GPT-4" if judge == GPT4 else "experts")
    # A second covariate that is zero for experts: what GPT-4 gives for length beyond what they give.
    frame[BEYOND] = frame["length"].where(frame["kind"] == "GPT-4", 0.0)
    facets = ("kind", "question", "turn", "length", BEYOND)
    return ps.PairTable.from_frame(frame, left="left", right="right", outcome="response", judge="judge", facets=facets)


def agreement(table: ps.PairTable) -> pd.DataFrame:
    """Share of experts' votes that GPT-4's verdict on the same pair repeats, by turn, with and without ties."""
    frame = table.to_frame()
    pair = ["question", "turn", "left", "right"]
    machine = frame.loc[frame["kind"] == "GPT-4", [*pair, "response"]]
    both = frame[frame["kind"] == "experts"].merge(machine, on=pair, suffixes=("", "_gpt4"))
    same = both["response"] == both["response_gpt4"]
    decided = (both["response"] != "tie") & (both["response_gpt4"] != "tie")
    turn = both["turn"]
    return pd.DataFrame(
        {
            "votes": same.groupby(turn).size(),
            "with_ties": same.groupby(turn).mean(),
            "decided": decided.groupby(turn).sum(),
            "without_ties": same[decided].groupby(turn[decided]).mean(),
        }
    )


def weight(fit: ps.Fit, name: str) -> str:
    """The weight of a covariate with its interval."""
    row = fit.estimates("population").set_index("level").loc[f"{name}_weight: {name}"]
    return f"{row['estimate']:.2f} logits (95% {row['lower']:.2f} to {row['upper']:.2f})"


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = votes()
    print("Experts' votes that GPT-4 repeats")
    print(agreement(table).round(3).to_string())

    controlled = ps.BradleyTerry(ties="davidson", contest=("length",))
    for kind, part in table.split("kind").items():
        fit = ps.robust_errors(ps.fit(controlled, part), part, cluster="question")
        print(f"\n{kind}: 1,000 characters more are worth {weight(fit, 'length')}")
        print(ps.win_rates(fit, table=part).round(3).to_string(index=False))

    # Longer answers come from better models, and GPT-4 tells models apart more sharply than experts do. With one scale
    # for both, that sharpness passes for a liking of length.
    print("\nWhat GPT-4 gives for 1,000 characters beyond what experts give")
    for words, slopes in (("one scale for both", ()), ("each with its own discrimination", ("kind",))):
        model = ps.BradleyTerry(ties="davidson", tie_owner="kind", slopes=slopes, contest=("length", BEYOND))
        fit = ps.robust_errors(ps.fit(model, table), table, cluster="question")
        print(f"{words}: {weight(fit, BEYOND)}")
    slope = fit.estimates("kind_slope").set_index("level")["estimate"]
    print(f"GPT-4 is {slope['GPT-4'] / slope['experts']:.2f} times as discriminating as experts")
    page = ps.report(fit, table, title="MT-bench: experts and GPT-4").save(out / "mtbench.html")
    print(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
