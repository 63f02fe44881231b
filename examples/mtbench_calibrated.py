"""What is GPT-4's win rate on MT-bench worth? A few experts' votes put it right, with an interval.

Run:  python examples/mtbench_calibrated.py [output folder]

Data: MT-bench human judgements beside GPT-4's (Zheng et al., 2023), CC BY 4.0; 6 models, 80 questions of two turns,
1,751 votes of experts. Every vote is a row, twice: once for each of the two models, from its side. GPT-4's verdict is
a tie where its two orders contradict one another. Here all rows have an expert's vote, so that what a few hundred of
them say can be held against all. Votes on a question hang together: errors are clustered by question.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
GPT4 = "gpt4_pair"
PAIR = ["question", "turn", "left", "right"]
LABELS, DRAWS = 200, 200
RIVALS = ("claude-v1", "gpt-3.5-turbo")


def votes() -> pd.DataFrame:
    """Experts' votes with GPT-4's verdict on the same pair, each from the side of both models."""
    path = DATA / "mtbench" / "derived_mtbench_human_gpt4_pairs.csv.gz"
    frame = ps.read_mt_bench(path, outcomes={"tie (inconsistent)": "tie"}).to_frame()
    machine = frame.loc[frame["judge"] == GPT4, [*PAIR, "response"]]
    both = frame[frame["judge"] != GPT4].merge(machine, on=PAIR, suffixes=("", "_gpt4"))
    both = both.reset_index(names="vote")
    sides = []
    for side, worth in (
        ("left", {"left": 1.0, "tie": 0.5, "right": 0.0}),
        ("right", {"left": 0.0, "tie": 0.5, "right": 1.0}),
    ):
        won = {"expert": both["response"].map(worth), "gpt4": both["response_gpt4"].map(worth)}
        sides.append(both[["vote", "question"]].assign(model=both[side], **won))
    return pd.concat(sides, ignore_index=True)


def some_labels(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same rows with the experts' votes on a random few, as if no others had been asked."""
    asked = rng.choice(rows["vote"].unique(), LABELS, replace=False)
    return rows.assign(human=rows["expert"].where(rows["vote"].isin(asked)))


def win_rates(rows: pd.DataFrame) -> ps.CalibratedEstimate:
    """One win rate per model."""
    return ps.calibrated_estimate(rows, judge="gpt4", estimand="win_rate", system="model", cluster="question")


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows, rng = votes(), np.random.default_rng(0)
    experts = rows.groupby("model")["expert"].mean()
    few = some_labels(rows, rng)
    found = win_rates(few)
    table = found.frame.set_index("model")[["judge_alone", "people_alone", "estimate", "lower", "upper", "power"]]
    print(f"Win rates from {LABELS} experts' votes and all of GPT-4's verdicts, beside all experts")
    print(table.assign(all_experts=experts).sort_values("estimate").round(3).to_string())

    gap = ps.calibrated_estimate(
        few, judge="gpt4", estimand="difference", system="model", systems=RIVALS, cluster="question"
    )
    print(f"\n{gap.sentences[0]}")
    print(f"All experts say {experts[RIVALS[0]] - experts[RIVALS[1]]:.3f}")

    hits = []
    for _ in range(DRAWS):
        row = win_rates(some_labels(rows, rng)).frame.set_index("model")
        for name, (lower, upper) in {"both": ("lower", "upper"), "GPT-4 alone": ("judge_lower", "judge_upper")}.items():
            hits.append({"interval": name, "held": np.mean((row[lower] <= experts) & (experts <= row[upper]))})
    print(f"\nShare of 95% intervals that hold what all experts say, {DRAWS} draws of {LABELS} votes")
    print(pd.DataFrame(hits).groupby("interval")["held"].mean().round(2).to_string())
    found.frame.to_csv(out / "mtbench_calibrated.csv", index=False)
    ps.plot_calibrated(found).savefig(out / "mtbench_calibrated.png", dpi=144)
    page = ps.calibration_report(found, title="GPT-4's win rates on MT-bench, put right by experts")
    print(f"wrote {page.save(out / 'mtbench_calibrated')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
