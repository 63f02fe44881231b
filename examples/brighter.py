"""What an averaged emotion hides: 4,652 Brazilian texts, six emotions, five or six people who rated each from 0 to 3.

Run:  python examples/brighter.py [output folder]

Data: BRIGHTER, SemEval-2025 task 11 (Muhammad et al., 2025), disaggregated intensities, CC BY 4.0. It has neither the
texts nor any LLM: the judges here are people who were left out, and what can be made of their labels. What the last
two, or three, annotators say is the target; the first three are either averaged to one label or kept as they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
FIRST, REST = ("person 1", "person 2", "person 3"), ("person 4", "person 5", "person 6")
PEOPLE = (*FIRST, *REST)


def ratings() -> pd.DataFrame:
    """One row per text, emotion and person."""
    frame = pd.read_csv(DATA / "brighter_ptbr" / "derived_ptbr_intensities.csv.gz")
    person = "person " + frame["annotator"].str.extract(r"annotator(\d)", expand=False)
    return pd.DataFrame(
        {
            "text": frame["id"],
            "emotion": frame["emotion"].str.lower(),
            "judge": person,
            "intensity": frame["intensity"].astype(int),
            "weight": 1.0,
        }
    )


def spread(frame: pd.DataFrame) -> pd.DataFrame:
    """What the mean of a text's ratings does not say, per emotion."""
    found = frame.groupby(["emotion", "text"])["intensity"].agg(["mean", "min", "max"]).reset_index()
    found["heard"] = found["max"] > 0
    found["averaged_away"] = found["heard"] & (found["mean"] < 0.5)
    found["far_apart"] = found["max"] - found["min"] >= 2
    found["unanimous"] = found["max"] == found["min"]
    return found.groupby("emotion")[["heard", "averaged_away", "far_apart", "unanimous"]].mean()


def summaries(frame: pd.DataFrame) -> pd.DataFrame:
    """Two judges made of the first three people: their mean as one label, and their labels as they are."""
    kept = frame[frame["judge"].isin(FIRST)]
    mean = kept.groupby(["text", "emotion"], as_index=False)["intensity"].mean()
    averaged = mean.assign(intensity=np.floor(mean["intensity"] + 0.5).astype(int), judge="averaged", weight=1.0)
    return pd.concat([averaged, kept.assign(judge="kept", weight=1 / 3)], ignore_index=True)


def table_of(frame: pd.DataFrame) -> ps.ResponseTable:
    """People and judges in one table."""
    return ps.ResponseTable.from_frame(
        frame, response="intensity", subject="text", item="emotion", facets=("judge",), weight="weight"
    )


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = ratings()
    print("Shares of texts, by emotion: somebody hears it; the mean says nobody does; two people are 2 or more apart")
    print(spread(frame).round(3).to_string())

    ceiling = ps.human_ceiling(table_of(frame), people=PEOPLE, by="item")
    one = ceiling.frame[ceiling.frame["statistic"].isin(["total variation", "Wasserstein"])]
    print("\nOne person against the others: the most that one label can be asked for")
    print(one.pivot(index="group", columns="statistic", values="value").round(3).to_string())

    table = table_of(pd.concat([frame, summaries(frame)], ignore_index=True))
    agreement = ps.distribution_agreement(table, ("averaged", "kept"), people=REST)
    print("\nThe first three people, averaged or kept, beside people 4 to 6")
    columns = ["judge", "statistic", "value", "lower", "upper", "perfect"]
    print(agreement.frame[columns].round(3).to_string(index=False))
    for note in agreement.notes:
        print(f"note: {note}")

    beside = ps.human_ceiling(table, tested=("averaged", "kept"), people=REST, by="item")
    short = beside.frame[beside.frame["judge"].notna() & (beside.frame["statistic"] == "Wasserstein")]
    print("\nHow much further from people 4 to 6 than one of them is from the others (below 0: nearer)")
    print(short[["group", "judge", "shortfall", "shortfall_lower", "shortfall_upper"]].round(3).to_string(index=False))

    # Person 6 rated fewer texts, a part of which the others rated too.
    stand_in = ps.alternative_annotator_test(
        table_of(frame), "person 6", people=PEOPLE[:5], by="item", metric="ordinal", epsilon=0.1
    )
    print("\nMay person 6 stand in for one of the others? (a held-out person where an LLM would be)")
    print(stand_in.frame[["group", "omega", "passes", "rho", "rho_lower", "rho_upper"]].round(2).to_string(index=False))
    ps.plot_human_ceiling(beside, statistic="Wasserstein").savefig(out / "brighter.png", dpi=110)
    ps.plot_entropies(agreement).savefig(out / "brighter_entropies.png", dpi=110)
    print(f"\nwrote {out / 'brighter.png'} and {out / 'brighter_entropies.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
