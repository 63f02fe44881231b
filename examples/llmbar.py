"""Which judge, prompted how, is swayed by the order? LLMBar: 6 LLM judges, up to 15 ways of prompting, both orders.

Run:  python examples/llmbar.py [output folder]

Data: LLMBar (Zeng et al., ICLR 2024), MIT licence: pairs of outputs of which one follows the instruction, each judged
in both orders. The things compared are the right output and the wrong one, so that a judge's discrimination times the
difference of their worths is its accuracy in logits, the order accounted for. Every way of asking a judge has its own
discrimination and position effect; errors are clustered by question, which all of them were asked. Where each output
is rated by itself, upstream takes equal ratings for a win of the second: that prompts with "Rating" favour the second
comes from this rule, not from the judge.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
BETWEEN = " · "


def verdicts() -> ps.PairTable:
    """The verdicts that upstream scores, with judge and prompt together as the one who judges."""
    read = ps.read_llmbar(DATA / "llmbar" / "llmbar_judgments.csv.gz")
    frame = read.to_frame(missing=True)
    frame["asked"] = frame["judge"] + BETWEEN + frame["template"]
    columns = {"left": "left", "right": "right", "outcome": "response", "judge": "asked", "reason": "reason"}
    return ps.PairTable.from_frame(frame, facets=("question",), **columns)


def conditions(fit: ps.Fit, table: ps.PairTable) -> pd.DataFrame:
    """One row per judge and way of prompting: accuracy, consistency, and what the model makes of them."""
    frame = table.to_frame()
    winner = frame["left"].where(frame["response"] == "left", frame["right"])
    worth = fit.estimates("item").set_index("level")["estimate"]
    slope = fit.estimates("judge_slope").set_index("level")["estimate"]
    position = fit.estimates("position").set_index("level")[["estimate", "lower", "upper"]]
    swapped = ps.swap_consistency(table, unit="question").iloc[1:].set_index("group")
    found = pd.DataFrame(
        {
            "accuracy": (winner == "gold").groupby(frame["judge"]).mean(),
            "consistent": swapped["strict"],
            "both_first": swapped["first"],
            "both_second": swapped["second"],
            "gold_logits": slope * (worth["gold"] - worth["other"]),
            **position.set_axis(["first_logits", "lower", "upper"], axis=1),
        }
    )
    found.index = pd.MultiIndex.from_tuples([name.split(BETWEEN) for name in found.index], names=["judge", "prompt"])
    return found.sort_values("first_logits")


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = verdicts()
    model = ps.BradleyTerry(position="judge", slopes=("judge",))
    fit = ps.robust_errors(ps.fit(model, table), table, cluster="question")
    found = conditions(fit, table)
    print("Ways of asking that favour the second output most, and the first (logits)")
    print(pd.concat([found.head(5), found.tail(5)]).reset_index().round(2).to_string(index=False))

    shared = found.unstack("judge").dropna()
    print(f"\nSame answer in both orders, {len(shared)} prompts that every judge was given")
    print(shared["consistent"].round(2).to_string())
    print("\nMean size of the position effect over these prompts (logits)")
    print(shared["first_logits"].abs().mean().sort_values().round(2).to_string())
    print("\nMean size of the position effect over the judges, by prompt (logits)")
    print(shared["first_logits"].abs().mean(axis=1).sort_values().round(2).to_string())
    found.to_csv(out / "llmbar_conditions.csv")
    page = ps.report(fit, table, title="LLMBar: judges, prompts and the order").save(out / "llmbar.html")
    print(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
