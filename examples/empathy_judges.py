"""Which LLM judge may stand in for an expert? 200 conversations, 21 criteria, experts, a crowd and three LLMs.

Run:  python examples/empathy_judges.py [output folder]

Data: Kumar et al. (2025), "When large language models are reliable for judging empathic communication"; MIT licence.
Four sets of 50 conversations, each with its own criteria and rating scale. The sets share judges but neither
conversations nor criteria, so each is fitted by itself: a judge's severity is relative to the others in that set.
The question is put three times: to the measures (severity and infit of a many-facet Rasch model), to the ratings (the
alternative annotator test: who is nearer to the other experts?), and to the distance that one expert more would have.
Then the LLMs' ratings are put on the experts' scale, with intervals: empathy_calibrated.csv.
"""

from __future__ import annotations

import os
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
SETS = {
    "lend_an_ear": "conversation_id",
    "perceived_empathy": "id",
    "empatheticdialogues": "conv_id",
    "epitome": "sp_id",
}
JUDGES = ("expert1", "expert2", "expert3", "crowd", "gpt", "claude", "gemini")
EXPERTS, OTHERS = JUDGES[:3], ("gpt", "claude", "gemini", "crowd")
# A high rating of these criteria means less empathy: they are turned round, so that more is always better.
NEGATIVE = {"self_oriented": (1, 5), "advice_giving": (1, 5), "dismissing_emotions": (1, 5)}
NOT_CRITERIA = {"Unnamed: 0", "full_conversation", "rp_id"}


def ratings() -> pd.DataFrame:
    """One row per conversation, criterion and judge."""
    parts = []
    for name, key in SETS.items():
        for judge in JUDGES:
            path = DATA / "empathy_judges" / f"{name}__{judge}_ratings.csv"
            wide = pd.read_csv(path, dtype={key: str}).rename(columns={key: "conversation"})
            criteria = [c for c in wide.columns if c not in NOT_CRITERIA | {"conversation"}]
            long = wide.melt("conversation", criteria, "criterion", "rating")
            parts.append(long.assign(set=name, judge=judge))
    frame = pd.concat(parts, ignore_index=True)
    # The crowd's mean of several people is rounded to the scale; halves go up.
    frame["rating"] = np.floor(pd.to_numeric(frame["rating"]) + 0.5)
    for criterion, (low, high) in NEGATIVE.items():
        rows = frame["criterion"] == criterion
        frame.loc[rows, "rating"] = low + high - frame.loc[rows, "rating"]
    return frame


def interchangeable(fit: ps.Fit, infit: pd.Series) -> pd.DataFrame:
    """Each LLM's severity and consistency against the experts', by how far the experts are from one another.

    Two bars: the largest difference in severity between two experts, which an LLM's whole 95% interval must stay
    within; and the largest infit of an expert, which an LLM's infit must not exceed. A judge that passes both is no
    further from the experts than they are from themselves.
    """
    judges = list(fit.levels["judge"])
    severity, covariance = fit.parameters["judge"], fit.covariances["judge"]
    spread = max(abs(severity[judges.index(a)] - severity[judges.index(b)]) for a, b in combinations(EXPERTS, 2))
    loosest = infit[list(EXPERTS)].max()
    rows = []
    for judge in OTHERS:
        contrast = np.array([(j == judge) - (j in EXPERTS) / len(EXPERTS) for j in judges])
        gap, se = contrast @ severity, np.sqrt(contrast @ covariance @ contrast)
        verdicts = (abs(gap) + 1.96 * se < spread, infit[judge] <= loosest)
        verdict = {(True, True): "yes", (True, False): "no: less consistent"}.get(verdicts, "no: severity")
        rows.append((judge, gap, se, spread, infit[judge], verdict))
    columns = ["judge", "severity_minus_experts", "se", "experts_spread", "infit", "interchangeable"]
    return pd.DataFrame(rows, columns=columns)


def replaceable(part: ps.ResponseTable) -> pd.DataFrame:
    """Who is nearer to the other two experts, a judge or the expert it would replace; and how near it comes.

    Epsilon is .2, which the test's authors advise where people are experts. Ratings of one conversation are a cluster.
    The shortfall is the distance to the experts (Wasserstein, in steps of the scale) beyond that of one expert more.
    """
    tested = alternative(part).frame
    whole = tested[tested["group"].isna()].set_index("judge")
    criteria = tested[tested["group"].notna()].groupby("judge")["passes"].agg(["sum", "size"])
    ceiling = ps.human_ceiling(part, tested=OTHERS, people=EXPERTS).frame
    near = ceiling[ceiling["judge"].notna() & (ceiling["statistic"] == "Wasserstein")].set_index("judge")
    found = whole[["omega", "rho", "rho_lower", "rho_upper", "epsilon_needed", "passes"]].copy()
    found["criteria"] = criteria["sum"].astype(str) + " of " + criteria["size"].astype(str)
    return found.join(near[["ceiling", "shortfall", "shortfall_lower", "shortfall_upper"]]).reset_index()


def alternative(part: ps.ResponseTable) -> ps.AlternativeAnnotatorTest:
    """The alternative annotator test of the LLMs and the crowd, over all criteria and each."""
    return ps.alternative_annotator_test(part, OTHERS, people=EXPERTS, by="item", metric="ordinal", epsilon=0.2)


def calibrated(frame: pd.DataFrame) -> pd.DataFrame:
    """What the three LLMs together say of each conversation and criterion, on the experts' scale, with intervals.

    The map is learnt from the experts' ratings, with a shift for every criterion; conversations are held out whole,
    so that `calibrated` in `out_of_fold` is what the LLMs' ratings alone would have said of them.
    """
    keys = ["conversation", "criterion"]
    llms = frame[frame["judge"].isin(OTHERS[:3])].pivot(index=keys, columns="judge", values="rating").dropna()
    experts = frame[frame["judge"].isin(EXPERTS)].dropna(subset="rating").astype({"rating": int})
    rows = experts.merge(llms.reset_index(), on=keys)
    fitted = ps.calibrate(
        rows, judge=OTHERS[:3], label="rating", method="ordinal", group="conversation", effect="criterion"
    )
    scores = pd.concat([llms.reset_index(), fitted.predict(llms.reset_index()).reset_index(drop=True)], axis=1)
    honest = fitted.out_of_fold.assign(raw=rows[list(OTHERS[:3])].mean(axis=1).to_numpy(), **rows[keys])
    means = honest.groupby(keys)[["label", "raw", "calibrated"]].mean().reset_index()
    error = {name: (means[name] - means["label"]).abs().mean() for name in ("raw", "calibrated")}
    print(
        f"distance of the LLMs' mean to the experts' mean, in steps of the scale: raw {error['raw']:.2f}, calibrated "
        f"on other conversations {error['calibrated']:.2f}"
    )
    return scores


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame, scores = ratings(), []
    table = ps.ResponseTable.from_frame(
        frame, response="rating", subject="conversation", item="criterion", facets=("judge",), dimension="set"
    )
    fits = ps.fit_each(ps.ManyFacetRasch(facets=("item", "judge"), steps="item"), table, by="set")
    for name, part in table.split("set").items():
        fit = fits[name]
        print(f"\n{name}: {fit.n_responses:g} ratings")
        quality = ps.fit_statistics(fit, part)
        judges = quality[quality["facet"] == "judge"].set_index("level")
        severity = fit.estimates("judge").set_index("level")[["estimate", "se"]]
        print(severity.join(judges[["infit", "outfit"]]).round(2).to_string())
        print(interchangeable(fit, judges["infit"]).round(2).to_string(index=False))
        print(replaceable(part).round(2).to_string(index=False))
        scores.append(calibrated(frame[frame["set"] == name]).assign(set=name))
    pd.concat(scores, ignore_index=True).to_csv(out / "empathy_calibrated.csv", index=False)
    page = ps.report(fits, table, title="Empathy: experts, crowd and LLM judges").save(out / "empathy_judges.html")
    print(f"\nwrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
