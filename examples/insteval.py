"""Do lecturers differ, or do their students? 73,421 ratings of 1,128 lecturers by 2,972 students, one to five.

Run:  python examples/insteval.py [output folder]

Data: InstEval of R's lme4 (ETH Zurich), GPL: read from the shared folder, not shipped.
Students are the subjects: what differs between them is how generous they are. Lecturers are a random facet, whose
location is how hard it is to give them a high rating: turned round, it is how good they are, with every student's
generosity allowed for.
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
# The facet's sd is known to .01; Newton's last step need not be a millionth of a logit.
ENGINE = ps.MarginalML(tolerance=1e-3)


def ratings() -> ps.ResponseTable:
    """One row per rating; `service` is 1 where the lecture is for another department's students."""
    frame = pd.read_csv(DATA / "classic" / "lme4__InstEval.csv.gz").rename(columns={"d": "lecturer"})
    return ps.ResponseTable.from_frame(frame, response="y", subject="s", facets=("lecturer", "service"))


def quality(fit: ps.Fit, averages: pd.Series) -> pd.DataFrame:
    """Lecturers from best to worst: measure, error, whether the 95% interval leaves out the mean, plain average."""
    found = fit.estimates("lecturer").set_index("level")
    frame = pd.DataFrame({"measure": -found["estimate"], "se": found["se"], "ratings": found["n"].astype(int)})
    frame["average"] = averages.reindex(frame.index)
    frame["differs"] = np.where(frame["measure"].abs() > 1.96 * frame["se"], np.sign(frame["measure"]), 0).astype(int)
    return frame.sort_values("measure", ascending=False)


def draw(frame: pd.DataFrame, path: Path) -> Path:
    """Every lecturer with an interval, those apart from the mean in colour."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    for sign, colour in ((0, "0.75"), (1, "C0"), (-1, "C3")):
        place = np.flatnonzero(frame["differs"] == sign)
        rows = frame.iloc[place]
        axes.errorbar(place, rows["measure"], yerr=1.96 * rows["se"], fmt=".", ms=2, lw=0.4, color=colour)
    axes.set_xlabel("lecturers, best first")
    axes.set_ylabel("measure, logits")
    figure.savefig(path, dpi=150)
    return path


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = ratings()
    model = ps.ManyFacetRasch(facets=("lecturer", "service"), random=("lecturer",))
    fit = ps.fit(model, table, engine=ENGINE)
    print(fit.summary())
    averages = table.to_frame().groupby("lecturer")["response"].mean()
    frame = quality(fit, averages)
    counts = frame["differs"].value_counts()
    print(f"\n{counts[1]} lecturers are above the mean of all, {counts[-1]} below, {counts[0]} not told from it (95%).")
    columns = ["measure", "se", "ratings", "average"]
    print(frame.iloc[[0, 1, 2, -3, -2, -1]][columns].round(2).to_string())
    # Estimates are drawn to the mean: what is not known of a lecturer is se² of the variance of all of them.
    reliability = 1 - (frame["se"] ** 2).mean() / float(fit.parameters["lecturer_sd"]) ** 2
    print(f"Reliability of the differences {reliability:.2f}")
    print(f"Rank correlation of measures and plain averages {frame['measure'].corr(frame['average'], 'spearman'):.3f}")
    service = fit.estimates("service").set_index("level")["estimate"]
    print(f"A lecture for other departments costs {service[1] - service[0]:.3f} logits")
    print(f"wrote {draw(frame, out / 'insteval.png')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
