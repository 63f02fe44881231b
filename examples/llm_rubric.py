"""What is an LLM's rubric score worth on people's scale? 223 dialogues, 24 people, one LLM with probabilities.

Run:  python examples/llm_rubric.py [output folder]

Data: LLM-Rubric (Hashemi et al., ACL 2024), MIT licence: people rate overall satisfaction with IT-help dialogues from
1 to 4 (0, not applicable, is left out); GPT-3.5 gives the probabilities of its answers to this and eight narrower
questions. The paper reports that the raw expectation of the overall question correlates .16 with people, at an RMSE of
1.06. Every map is judged on dialogues that it was not fitted on. Two maps also know who is rating: since people differ
more than dialogues do, most of what they gain is of the people, which the same map with the judge's answers dealt to
other dialogues shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
CATEGORIES = [1, 2, 3, 4]
SHARES = [f"answer{k}_prob" for k in CATEGORIES]
ALL = [f"expected_Q{q}" for q in range(9)]
DRAWS = 2_000


def ratings() -> pd.DataFrame:
    """One row per person and dialogue: the rating of Q0, the judge's probabilities for it, its expectation of each."""
    folder = DATA / "llm_rubric"
    people = pd.read_csv(folder / "human_judges_synth_all_FIXED_ANON.tsv", sep="\t")
    judge = pd.read_csv(folder / "gpt-3.5-turbo-16k_synth_evaluations_FIXED.tsv", sep="\t")
    judge["expected"] = judge[SHARES].to_numpy() @ CATEGORIES
    expected = judge.pivot(index="text_id", columns="criterion", values="expected").add_prefix("expected_")
    overall = judge[judge["criterion"] == "Q0"].set_index("text_id")[SHARES]
    rows = people.loc[people["Q0"] > 0, ["text_id", "annotator_id", "Q0"]]
    return rows.join(expected.join(overall), on="text_id", how="inner").reset_index(drop=True)


def maps(frame: pd.DataFrame) -> dict[str, ps.CalibrationMap]:
    """From the plainest to the one that reads all nine questions and knows the rater; and that one misled."""
    rng = np.random.default_rng(0)
    dialogues = frame["text_id"].unique()
    dealt = pd.Series(rng.permutation(len(dialogues)), dialogues)
    answers = frame.groupby("text_id", sort=False)[ALL].first()
    misled = frame.drop(columns=ALL).join(answers.iloc[dealt].set_axis(dialogues), on="text_id")
    settings = {"label": "Q0", "group": "text_id"}
    person = {"effect": "annotator_id", "method": "ordinal"}
    return {
        "isotonic": ps.calibrate(frame, judge="expected_Q0", **settings),
        "temperature": ps.calibrate(frame, judge=SHARES, method="temperature", **settings),
        "dirichlet": ps.calibrate(frame, judge=SHARES, method="dirichlet", **settings),
        "all questions": ps.calibrate(frame, judge=ALL, method="ordinal", **settings),
        "all questions, rater": ps.calibrate(frame, judge=ALL, **person, **settings),
        "other dialogues', rater": ps.calibrate(misled, judge=ALL, **person, **settings),
    }


def quality(predicted: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Pearson's correlation and RMSE of columns of predictions with one label, shape (2, columns)."""
    share = weight / weight.sum()
    gap, rest = predicted - share @ predicted, label - share @ label
    spread = np.sqrt((share @ gap**2) * (share @ rest**2))
    return np.array([share @ (gap * rest[:, None]) / spread, np.sqrt(share @ (predicted - label[:, None]) ** 2)])


def comparison(frame: pd.DataFrame, found: dict[str, ps.CalibrationMap]) -> pd.DataFrame:
    """Both measures of each map, out of fold, and the change from the raw judge; intervals by dialogues."""
    columns = {"raw": frame["expected_Q0"], **{name: one.out_of_fold["calibrated"] for name, one in found.items()}}
    predicted, label = np.column_stack(list(columns.values())), frame["Q0"].to_numpy(float)
    group = pd.factorize(frame["text_id"])[0]
    rng, n = np.random.default_rng(0), int(group.max()) + 1
    drawn = np.array(
        [quality(predicted, label, np.bincount(rng.integers(n, size=n), minlength=n)[group]) for _ in range(DRAWS)]
    )
    values = quality(predicted, label, np.ones(len(label)))
    changes = np.quantile(drawn - drawn[:, :, :1], [0.025, 0.975], axis=0)
    rows = {"pearson": values[0], "rmse": values[1]}
    for place, name in enumerate(("pearson", "rmse")):
        rows |= {f"{name}_change": values[place] - values[place, 0]}
        rows |= {f"{name}_lower": changes[0, place], f"{name}_upper": changes[1, place]}
    return pd.DataFrame(rows, index=pd.Index(list(columns), name="map"))


def page(
    frame: pd.DataFrame, mapped: ps.CalibrationMap, quality: dict[str, ps.CalibrationQuality]
) -> ps.CalibrationReport:
    """Mean satisfaction from the LLM's scores of all dialogues and the ratings of a third; its probabilities mapped."""
    dialogues = frame["text_id"].unique()
    rated = np.random.default_rng(1).choice(dialogues, len(dialogues) // 3, replace=False)
    few = frame.assign(human=frame["Q0"].where(frame["text_id"].isin(rated)))
    reliability = {
        "raw": ps.reliability_diagram(frame, label="Q0", probabilities=SHARES),
        "dirichlet": ps.reliability_diagram(mapped),
    }
    mean = ps.calibrated_estimate(few, judge="expected_Q0", cluster="text_id")
    return ps.calibration_report(mean, title="LLM-Rubric and people", quality=quality, reliability=reliability)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = ratings()
    dialogues = frame["text_id"].nunique()
    print(f"{len(frame)} ratings of {dialogues} dialogues by {frame['annotator_id'].nunique()} people")
    found = maps(frame)
    table = comparison(frame, found)
    print("\nAgreement with people, out of fold, and the change from the raw judge with its 95% interval")
    print(table.round(3).to_string())
    table.to_csv(out / "llm_rubric.csv")

    raw = ps.calibration_quality(frame, label="Q0", probabilities=SHARES, group="text_id")
    print("\nCalibration error of 'people give the highest rating' (ECE, debiased): raw, and mapped")
    quality = {"raw": raw, "dirichlet": ps.calibration_quality(found["dirichlet"])}
    for name, one in quality.items():
        rows = one.frame[(one.frame["event"] == "≥ 4") & (one.frame["statistic"] == "ECE debiased")]
        print(f"{name}: {rows[['value', 'lower', 'upper']].round(3).to_string(index=False, header=False)}")

    kept = frame["text_id"].isin(frame["text_id"].unique()[::2])
    best = ps.calibrate(frame[kept], judge=ALL, label="Q0", method="ordinal", group="text_id", effect="annotator_id")
    sets = ps.conformal_sets(best, labelled=frame[~kept], risk=0.2)
    size = sets.predict(frame[~kept])["size"]
    print(f"\n{sets}\nlabels in a set, of 4: {size.mean():.2f}")
    answering = ps.abstention(best, labelled=frame[~kept], risk=0.1, tolerance=1)
    print(answering)
    ps.plot_risk_coverage(answering).savefig(out / "llm_rubric_risk.png", dpi=150, facecolor="white")
    figure = ps.plot_reliability_diagram(ps.reliability_diagram(found["all questions, rater"]))
    figure.savefig(out / "llm_rubric.png", dpi=150, facecolor="white")
    print(f"wrote {page(frame, found['dirichlet'], quality).save(out / 'llm_rubric')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
