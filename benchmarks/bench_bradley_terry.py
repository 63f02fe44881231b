"""Bradley-Terry worths from simulated votes: psymetric, evalica and choix on the same comparisons."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.runner import as_lines, as_table, take_turns, time_calls

TITLE = "Bradley-Terry worths from votes"
N_ITEMS, N_VOTES = 100, 100_000
# evalica and choix stop when worths move by less than 1e-6 and 1e-8.
AGREEMENT = 0.01


def votes() -> pd.DataFrame:
    """100,000 votes between 100 items whose worths are normal with an sd of one logit."""
    rng = np.random.default_rng(20260102)
    worth = rng.normal(0, 1, N_ITEMS)
    left = rng.integers(0, N_ITEMS, N_VOTES)
    right = (left + rng.integers(1, N_ITEMS, N_VOTES)) % N_ITEMS
    won = rng.random(N_VOTES) < 1 / (1 + np.exp(worth[right] - worth[left]))
    names = np.array([f"m{i:03d}" for i in range(N_ITEMS)])
    return pd.DataFrame({"left": names[left], "right": names[right], "winner": np.where(won, "left", "right")})


def log_likelihood(frame: pd.DataFrame, worth: pd.Series) -> float:
    """Of the votes at given log worths, one for every item."""
    gap = worth[frame["left"]].to_numpy() - worth[frame["right"]].to_numpy()
    return float(-np.logaddexp(0, np.where(frame["winner"] == "left", -gap, gap)).sum())


def psymetric(frame: pd.DataFrame) -> Callable[[], float]:
    import psymetric as ps

    def call() -> float:
        table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner")
        value = ps.fit(ps.BradleyTerry(), table).log_likelihood
        assert value is not None
        return value

    return call


def evalica(frame: pd.DataFrame) -> Callable[[], float]:
    from evalica import Winner, bradley_terry

    outcome = frame["winner"].map({"left": Winner.X, "right": Winner.Y})

    def call() -> float:
        found = bradley_terry(frame["left"], frame["right"], outcome)
        return log_likelihood(frame, np.log(found.scores))

    return call


def choix(frame: pd.DataFrame) -> Callable[[], float]:
    from choix import ilsr_pairwise

    def call() -> float:
        names = sorted(set(frame["left"]) | set(frame["right"]))
        place = {name: code for code, name in enumerate(names)}
        won = frame["winner"] == "left"
        winner = frame["left"].where(won, frame["right"]).map(place)
        loser = frame["right"].where(won, frame["left"]).map(place)
        worth = ilsr_pairwise(len(names), list(zip(winner, loser, strict=True)))
        return log_likelihood(frame, pd.Series(worth, index=names))

    return call


def run() -> tuple[str, str, bool, list[str]]:
    """Time all three; returns a title, a section in Markdown, whether it passed (always), and terminal lines.

    Raises:
        RuntimeError: They did not reach the same maximum.
    """
    timings = take_turns("benchmarks.bench_bradley_terry", ("psymetric", "evalica", "choix"))
    if max(abs(t.log_likelihood - timings[0].log_likelihood) for t in timings) > AGREEMENT:
        raise RuntimeError(f"different optima: {timings}")
    text = (
        f"{N_VOTES:,} votes between {N_ITEMS} items, labels as strings, from frame to worths. psymetric returns\n"
        "standard errors and checks that the maximum exists; evalica and choix return worths.\n\n"
        f"{as_table(timings)}"
    )
    return TITLE, text, True, as_lines(timings)


if __name__ == "__main__":
    data = votes()
    contestant = {"psymetric": psymetric, "evalica": evalica, "choix": choix}[sys.argv[1]]
    time_calls(f"{sys.argv[1]} {version(sys.argv[1])}", lambda: contestant(data))
