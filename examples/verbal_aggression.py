"""What makes people say that they would curse, scold or shout? 316 persons, 24 situations, three answers.

Run:  python examples/verbal_aggression.py [output folder]

Data: VerbAgg of R's lme4 (Vansteelandt, 2000; De Boeck & Wilson, 2004), GPL: read from the shared folder, not shipped.
A high measure is a person more ready to be aggressive; a difficult item is one that few say yes to.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PERSON, ITEM = ("Anger", "Gender"), ("btype", "situ", "mode")


def answers(response: str, categories: list[str]) -> ps.ResponseTable:
    """One row per person and item: "r2" is no or yes, "resp" has perhaps between them."""
    frame = pd.read_csv(DATA / "classic" / "lme4__VerbAgg.csv.gz")
    return ps.ResponseTable.from_frame(
        frame, response=response, subject="id", item="item", facets=(*PERSON, *ITEM), categories=categories
    )


def draw(items: pd.DataFrame, path: Path) -> Path:
    """Difficulties with 95% intervals, by behaviour; wanting and doing side by side."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for mode, colour, shift in (("want", "C0", -0.12), ("do", "C3", 0.12)):
        rows = items[items["mode"] == mode].sort_index().sort_values(["btype", "situ"], kind="stable")
        place = np.arange(len(rows)) + shift
        axes.errorbar(place, rows["estimate"], yerr=1.96 * rows["se"], fmt="o", color=colour, label=mode)
    axes.set_xticks(np.arange(len(rows)), [f"{b}\n{s}" for b, s in zip(rows["btype"], rows["situ"], strict=True)])
    axes.set_ylabel("difficulty, logits")
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    return path


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = answers("r2", ["N", "Y"])
    rasch = ps.fit(ps.Rasch(), table)
    print(rasch.summary())
    quality = ps.fit_statistics(rasch, table, facets=("item",)).sort_values("outfit")
    print("\nItems that fit worst\n" + quality.iloc[[0, -2, -1]][["level", "infit", "outfit"]].round(2).to_string())

    explained = ps.ManyFacetRasch(
        facets=("item",), random=("item",), covariates={"item": ITEM}, population=ps.Population(covariates=PERSON)
    )
    fit = ps.fit(explained, table)
    print("\nWho is aggressive, and what is hard to say yes to (logits)")
    print(fit.estimates("population")[["level", "estimate", "se"]].round(3).to_string(index=False))
    plain = ps.fit(ps.ManyFacetRasch(facets=("item",), random=("item",)), table)
    share = 1 - (float(fit.parameters["item_sd"]) / float(plain.parameters["item_sd"])) ** 2
    print(f"Behaviour, situation and mode explain {share:.0%} of the variance of difficulty.")

    three = answers("resp", ["no", "perhaps", "yes"])
    common, own = (ps.fit(ps.ManyFacetRasch(facets=("item",), steps=steps), three) for steps in ("common", "item"))
    print(f"\nAIC with perhaps as a category: rating scale {common.aic:.1f}, partial credit {own.aic:.1f}")
    use = ps.category_statistics(common, three)
    print(use[["category", "n", "average_measure"]].round(2).to_string(index=False))

    about = table.to_frame().drop_duplicates("item").set_index("item")[list(ITEM)]
    path = draw(rasch.estimates("item").set_index("level").join(about), out / "verbal_aggression.png")
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
