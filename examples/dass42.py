"""A language model answers a depression, anxiety and stress inventory: does the inventory still measure?

Run:  python examples/dass42.py [output folder]

Data: enriquetaietta/llms_cognitive_analysis_das42, Apache-2.0: GPT-3.5 answers DASS-42 as a student to whom something
neutral, good or bad has happened; of 9,163 administrations 40 of each of the 30 prompts are used. The three scales are
fitted one by one. They describe answers, never a diagnosis.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
# Lovibond & Lovibond (1995): the items of each scale by number.
SCALES = {
    "depression": (3, 5, 10, 13, 16, 17, 21, 24, 26, 31, 34, 37, 38, 42),
    "anxiety": (2, 4, 7, 9, 15, 19, 20, 23, 25, 28, 30, 36, 40, 41),
    "stress": (1, 6, 8, 11, 12, 14, 18, 22, 27, 29, 32, 33, 35, 39),
}
TONES = {"=": "1 neutral", "+": "2 good", "-": "3 bad"}
EACH = 40


def answers() -> pd.DataFrame:
    """One row per administration and item; answers 1 (never) to 4 (almost always)."""
    wide = pd.read_csv(DATA / "dass42_gpt35" / "GPT-3.5-turbo-0613__csv_openai_all.csv.gz")
    wide = wide.groupby(["EVENT", "EVENT_TYPE", "GENDER"]).head(EACH)
    wide = wide.assign(call=[f"call {k}" for k in range(len(wide))], tone=wide["EVENT_TYPE"].map(TONES))
    columns = {f"V{number + 1}": f"item {number}" for number in range(1, 43)}
    long = wide.rename(columns=columns).melt(["call", "tone", "GENDER"], list(columns.values()), "item", "answer")
    scale = {f"item {number}": name for name, numbers in SCALES.items() for number in numbers}
    return long.assign(scale=long["item"].map(scale)).rename(columns={"GENDER": "gender"})


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = answers()
    table = ps.ResponseTable.from_frame(
        frame, response="answer", subject="call", item="item", facets=("tone", "gender"), dimension="scale"
    )
    plain = ps.fit_each(ps.GeneralizedPartialCredit(), table, by="scale")
    explained = ps.GeneralizedPartialCredit(population=ps.Population(covariates=("tone", "gender")))
    moved = ps.fit_each(explained, table, by="scale")
    for name, part in table.split("scale").items():
        fit = plain[name]
        alpha = ps.scale_reliability(part, draws=0).frame.set_index("coefficient").loc["alpha", "value"]
        eap = ps.score_reliability(fit, part, draws=20).set_index("coefficient")["value"]
        misfit = ps.item_fit(fit, part)
        print(f"\n{name}: {len(part.levels['subject'])} administrations, alpha {alpha:.2f}, EAP {eap.iloc[0]:.2f}")
        slopes = fit.estimates("discrimination").sort_values("estimate")
        print(slopes.iloc[[0, -1]][["level", "estimate", "se"]].round(2).to_string(index=False, header=False))
        bad = misfit[misfit["p_holm"] < 0.01]
        print(f"{len(bad)} of {len(misfit)} items misfit (S-X², Holm, p < .01): {', '.join(map(str, bad['level']))}")
        effects = moved[name].estimates("population").set_index("level")
        effects = effects[effects.index.str.startswith("covariate")]
        print("Effect of the prompt, in standard deviations of its answers otherwise")
        print(effects[["estimate", "se"]].round(2).to_string())
    page = ps.report(plain, table, title="DASS-42 answered by GPT-3.5 under thirty prompts").save(out / "dass42.html")
    print(f"\nwrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
