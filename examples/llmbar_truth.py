"""Six LLM judges agree: are they right? LLMBar without gold, and what gold on some questions adds.

Run:  python examples/llmbar_truth.py [output folder]

Data: LLMBar (Zeng et al., ICLR 2024), MIT licence: 239 questions with two outputs, of which one follows the
instruction. On adversarial questions the other one was made to look better, and most judges fall for it together. A
model of judges that err independently takes their agreement for the truth, and is sure of much that is wrong. Two
things show it without gold for every question: a test of shared errors, and gold for some.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
METHOD, ORDER, EXPERT = "Metrics_Reference", "swap = False", "expert"
REPEATS = 5


def verdicts() -> pd.DataFrame:
    """One row per question and judge: which output is the better one, 1 or 2, and gold."""
    frame = pd.read_csv(DATA / "llmbar" / "llmbar_judgments.csv.gz")
    frame["question"] = frame["subset"] + "/" + frame["item"].astype(str)
    frame = frame[(frame["method"] == METHOD) & (frame["key"] == ORDER)]
    frame = frame.rename(columns={"evaluator": "judge", "value": "better"})
    return frame.astype({"better": "Int64"})[["question", "subset", "judge", "better", "gold"]]


def table_of(frame: pd.DataFrame, known: np.ndarray) -> ps.ResponseTable:
    """The verdicts, with gold of the questions in `known` as those of an expert."""
    gold = frame.drop_duplicates("question").set_index("question")["gold"].loc[known]
    expert = pd.DataFrame({"question": known, "judge": EXPERT, "better": gold.to_numpy()}).astype({"better": "Int64"})
    both = pd.concat([frame[["question", "judge", "better"]], expert])
    return ps.ResponseTable.from_frame(both, response="better", subject="question", facets="judge", categories=(1, 2))


def fitted(frame: pd.DataFrame, known: np.ndarray) -> tuple[ps.Fit, ps.ResponseTable]:
    table = table_of(frame, known)
    return ps.fit(ps.DawidSkene(gold=EXPERT if len(known) else None), table, engine=ps.MAP()), table


def hidden(frame: pd.DataFrame, known: np.ndarray) -> tuple[float, float]:
    """Of the questions without gold: the share that is right, and the share that the model expects to be right."""
    fit, table = fitted(frame, known)
    found = ps.true_categories(fit, table).frame.query("not gold").set_index("subject")
    gold = frame.drop_duplicates("question").set_index("question")["gold"]
    return float((found["category"] == gold.loc[found.index]).mean()), float(found["probability"].mean())


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = verdicts()
    right = frame["better"] == frame["gold"]
    print("Verdicts that are right")
    print(right.groupby([frame["subset"], frame["judge"]]).mean().unstack().round(2).to_string())
    best = right.groupby(frame["judge"]).mean().sort_values().tail(1)
    print(f"best judge: {best.index[0]} {best.iloc[0]:.2f}")

    questions = np.array(sorted(frame["question"].unique()))
    rng = np.random.default_rng(1)
    print(f"\nQuestions without gold: right, and expected to be right (means of {REPEATS} choices of those with gold)")
    for n in (0, 25, 50, 100):
        each = [hidden(frame, rng.choice(questions, n, replace=False)) for _ in range(REPEATS if n else 1)]
        actual, expected = np.mean(each, axis=0)
        print(f"gold on {n:3d}: {actual:.2f} right, {expected:.2f} expected")

    fit, table = fitted(frame, questions[:0])
    blind = ps.report(fit, table, title="LLMBar: six judges, no gold")
    print("\nWithout gold")
    print("\n".join(blind.claims))
    blind.save(out / "blind" / "llmbar_truth.html")
    fit, table = fitted(frame, rng.choice(questions, 100, replace=False))
    report = ps.report(fit, table, title="LLMBar: six judges, gold on 100 questions")
    print("\nWith gold on 100 questions")
    print("\n".join(report.claims))
    print(f"wrote {report.save(out / 'llmbar_truth.html')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
