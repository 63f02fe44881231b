"""Does a language model answer as the person it was told to be? 32 personas × 10 runs × 44 Big Five items.

Run:  python examples/personallm.py [output folder]

Data: PersonaLLM (Jiang et al., NAACL Findings 2024), GPT-4, MIT licence. Each persona holds one pole of every
trait, so that the truth of each trait is known: two groups of 16 personas. The items are in the inventory's standard
order (John & Srivastava, 1999); those keyed the other way are turned round. Each trait is fitted by itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps
from psymetric.instruments.scoring import recode

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
# Items of each trait, negative where agreement means less of it.
KEYS = {
    "extraversion": (1, -6, 11, 16, -21, 26, -31, 36),
    "agreeableness": (-2, 7, -12, 17, 22, -27, 32, -37, 42),
    "conscientiousness": (3, -8, 13, -18, -23, 28, 33, 38, -43),
    "neuroticism": (4, -9, 14, 19, -24, 29, -34, 39),
    "openness": (5, 10, 15, 20, 25, 30, -35, 40, -41, 44),
}
HIGH = {"extraversion": "extr", "agreeableness": "agre", "conscientiousness": "cons", "neuroticism": "neur"}


def answers() -> pd.DataFrame:
    """One row per run of a persona and item, turned round where the key says so."""
    frame = pd.read_csv(DATA / "personallm_bfi" / "personallm_bfi_gpt4.csv.gz")
    trait = {abs(item): name for name, items in KEYS.items() for item in items}
    sign = {abs(item): np.sign(item) for items in KEYS.values() for item in items}
    key = frame["item_no"].map(sign)
    frame["answer"] = recode(frame["response"] - 1, key, 5) + 1
    frame["trait"] = frame["item_no"].map(trait)
    pole = frame["trait"].map(HIGH).fillna("open")
    told = [word in persona.split("_") for word, persona in zip(pole, frame["persona"], strict=True)]
    frame["told"] = np.where(told, "high", "low")
    return frame.assign(run=frame["persona"] + " #" + frame["iteration"].astype(str))


def separation(fit: ps.Fit) -> tuple[float, float]:
    """Difference of the two groups' means in logits, and its standard error."""
    sign = np.array([1.0 if label == "high" else -1.0 for label in fit.levels["told"]])
    covariance = fit.covariances["population_mean"]
    return float(sign @ fit.parameters["population_mean"]), float(np.sqrt(sign @ covariance @ sign))


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = ps.ResponseTable.from_frame(
        answers(), response="answer", subject="run", item="item_no", facets=("told",), dimension="trait"
    )
    model = ps.ManyFacetRasch(facets=("item",), population=ps.Population(groups="told"))
    fits = ps.fit_each(model, table, by="trait")
    rows = {}
    for name, part in table.split("trait").items():
        fit, scores = fits[name], ps.score(fits[name], part)
        alpha = ps.scale_reliability(part, draws=0).frame.set_index("coefficient").loc["alpha", "value"]
        gap, se = separation(fit)
        told = part.to_frame().drop_duplicates("subject").set_index("subject")["told"]
        measures = scores.frame.set_index("subject")["estimate"]
        high, low = (measures[told.loc[measures.index] == side] for side in ("high", "low"))
        quality = ps.fit_statistics(fit, part, facets=("item",))
        rows[name] = {
            "alpha": alpha,
            "high_minus_low": gap,
            "se": se,
            "typical_se_of_a_run": float(scores.frame["se"].median()),
            "apart": float((high.to_numpy()[:, None] > low.to_numpy()).mean()),
            "worst_item": quality.loc[quality["outfit"].idxmax(), "level"],
            "its_outfit": quality["outfit"].max(),
        }
    print("Trait by trait: is the persona in the answers? `apart`: how often a high run is above a low one")
    print(pd.DataFrame.from_dict(rows, orient="index").round(2).to_string())
    page = ps.report(fits, table, title="Big Five personas answered by GPT-4").save(out / "personallm.html")
    print(f"\nwrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
