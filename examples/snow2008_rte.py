"""What did 164 strangers see? Textual entailment: the majority against judges weighed by what their labels tell.

Run:  python examples/snow2008_rte.py [output folder]

Data: recognising textual entailment (Snow et al., EMNLP 2008), Apache-2.0: 800 pairs of sentences, ten labels each by
164 workers, and gold that is only compared with here. Majority is the label that most workers gave, half right where
labels are tied. Dawid and Skene's model knows no gold either: it tells who labels at random from how workers agree.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import psymetric as ps

DATA = Path(os.environ.get("PSYMETRIC_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def labels() -> pd.DataFrame:
    """One row per label: item, worker, label (0 or 1) and gold."""
    frame = pd.read_csv(DATA / "snow2008_rte" / "derived_rte_labels.csv.gz")
    return frame.rename(columns={"orig_id": "item", "!amt_worker_ids": "worker", "response": "label"})


def majority(frame: pd.DataFrame) -> float:
    """Share of items whose majority is gold, ties half."""
    item = frame.groupby("item")
    share = item["label"].mean()
    right = np.where(share == 0.5, 0.5, (share > 0.5) == item["gold"].first())
    return float(right.mean())


def accuracy(truths: ps.TrueCategories, frame: pd.DataFrame) -> float:
    """Share of items whose likeliest category is gold."""
    gold = frame.groupby("item")["gold"].first()
    return float((truths.frame.set_index("subject")["category"] == gold).mean())


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = labels()
    table = ps.ResponseTable.from_frame(frame, response="label", subject="item", facets=("worker",))
    print(f"A label is gold {(frame['label'] == frame['gold']).mean():.3f} of the time")
    print(f"Majority {majority(frame):.4f}")
    # Twenty labels are few for the two errors of a worker: priors worth a few labels keep estimates off 0 and 1.
    fit = ps.fit(ps.DawidSkene(over="worker"), table, engine=ps.MAP())
    truths = ps.true_categories(fit, table)
    print(f"Dawid-Skene {accuracy(truths, frame):.4f}, expected by itself {truths.accuracy:.3f}")

    report = ps.report(fit, table, title="Textual entailment by 164 workers")
    judges = report.facets[report.facets["facet"] == "judge"]
    own = frame.groupby("worker").agg(n=("label", "size"), gold=("gold", "mean"))
    own["right"] = (frame["label"] == frame["gold"]).groupby(frame["worker"]).mean()
    beside = judges.set_index("level")["estimate"].to_frame().join(own)
    busy = beside[beside["n"] >= 100].sort_values("n", ascending=False)
    print(f"\nThe {len(busy)} workers with a hundred labels or more: estimated without gold, and beside gold")
    print(busy[["n", "estimate", "right"]].round(2).to_string())
    print()
    print("\n".join(report.claims))
    print(f"wrote {report.save(out / 'snow2008_rte.html')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
