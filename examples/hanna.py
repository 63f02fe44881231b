"""How much of a story generator's score is the prompt? 11 systems, 6 criteria, 5 LLM judges, 4 judging prompts.

Run:  python examples/hanna.py [output folder]

Data: HANNA (Chhun et al., COLING 2022; TACL 2024), MIT licence: 1,056 stories, LLM ratings averaged over three samples.
Negative ratings are failed parses, so they are missing, not low. The story is the subject: a system's score is the mean
of its 96 stories, and its standard error comes from how the stories differ, not from how often one story was rated.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def ratings() -> pd.DataFrame:
    """LLM ratings, one row per story, criterion, judge and judging prompt, on the scale 1 to 5."""
    frame = pd.read_csv(DATA / "hanna" / "derived_hanna_ratings_long.csv.gz")
    frame = frame[frame["rater_type"] == "llm"].reset_index(drop=True)
    failed = frame["score"] < 0
    return pd.DataFrame(
        {
            "system": frame["system"],
            "story": frame["system"] + " #" + frame["prompt_index"].astype(str),
            "criterion": frame["criterion"],
            "judge": frame["rater"],
            "template": "prompt " + frame["eval_prompt"].astype(int).astype(str),
            "rating": np.floor(frame["score"] + 0.5).clip(1, 5).where(~failed),
            "reason": np.where(failed, "unparsable", None),
        }
    )


def systems(scores: ps.Scores, story_system: pd.Series) -> pd.DataFrame:
    """Mean measure of each system's stories, with the standard error of that mean."""
    frame = scores.frame.assign(system=scores.frame["subject"].map(story_system))
    found = frame.groupby("system")["estimate"].agg(["mean", "std", "size"])
    return pd.DataFrame({"measure": found["mean"], "se": found["std"] / np.sqrt(found["size"])})


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = ratings()
    story_system = frame.drop_duplicates("story").set_index("story")["system"]
    columns = {"response": "rating", "subject": "story", "item": "criterion", "reason": "reason"}

    table = ps.ResponseTable.from_frame(frame, facets=("judge", "template"), **columns)
    model = ps.ManyFacetRasch(facets=("item", "judge", "template"), interactions=(("judge", "template"),))
    fit = ps.fit(model, table)
    print(fit.summary())
    print("\nSeverity of each judging prompt (logits)")
    print(fit.estimates("template")[["level", "estimate", "se"]].round(3).to_string(index=False))
    print("\nJudge × prompt: what a prompt does to one judge beyond its own severity")
    print(
        fit.estimates("judge:template").pivot(index="judge", columns="template", values="estimate").round(2).to_string()
    )

    overall = systems(ps.score(fit, table), story_system)
    by_prompt = {}
    for template, part in table.split("template").items():
        one = ps.fit(ps.ManyFacetRasch(facets=("item", "judge")), part)
        # Each prompt has its own unit; measures are compared on the sd of the stories under it.
        scores = systems(ps.score(one, part), story_system)
        by_prompt[template] = (scores["measure"] - scores["measure"].mean()) / float(one.parameters["population_sd"])
    spread = pd.DataFrame(by_prompt)
    overall["range_over_prompts"] = spread.max(axis=1) - spread.min(axis=1)
    ranks = spread.rank(ascending=False)
    overall["rank_low"], overall["rank_high"] = ranks.min(axis=1).astype(int), ranks.max(axis=1).astype(int)
    print("\nSystems: measure, its standard error, and how far it moves (sds of stories) and ranks between prompts")
    print(overall.sort_values("measure", ascending=False).round(2).to_string())
    share = float(((spread.var(axis=1).mean()) / spread.mean(axis=1).var()) * 100)
    print(f"\nBetween-prompt variance of a system's score is {share:.1f}% of the variance between systems.")
    page = ps.report(fit, table, title="HANNA: stories rated by five LLM judges under four prompts").save(
        out / "hanna.html"
    )
    print(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
