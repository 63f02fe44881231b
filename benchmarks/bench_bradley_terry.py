"""Bradley-Terry worths from simulated votes: psymetric, evalica and choix on the same comparisons."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.runner import PATIENCE, Ratio, Section, Target, as_table, take_turns, time_calls, verdict

N_ITEMS = 200
# evalica and choix stop when worths move by less than 1e-6 and 1e-8.
AGREEMENT = 0.01
HALF = 2.0
"""evalica, which returns worths alone, must take this many times as long as psymetric with standard errors."""
TENFOLD = 10.0
"""choix must take this many times as long."""
N_REPLICATES = 1_000
MANY = Target(warm=2.5, peak=3 * 1024)
REPLICATES = Target(warm=1.0)


def votes(n_votes: int) -> pd.DataFrame:
    """Votes between 200 items whose worths are normal with an sd of one logit; labels are strings."""
    rng = np.random.default_rng(20260102)
    worth = rng.normal(0, 1, N_ITEMS)
    left = rng.integers(0, N_ITEMS, n_votes)
    right = (left + rng.integers(1, N_ITEMS, n_votes)) % N_ITEMS
    won = rng.random(n_votes) < 1 / (1 + np.exp(worth[right] - worth[left]))
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
        found = ps.fit(ps.BradleyTerry(), table)
        assert np.isfinite(found.standard_errors["worth"]).all()
        assert found.log_likelihood is not None
        return found.log_likelihood

    return call


def bootstrap(frame: pd.DataFrame) -> Callable[[], float]:
    """A fit and its replicates, from a table that is there already."""
    import psymetric as ps

    table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner")

    def call() -> float:
        found = ps.bootstrap(ps.BradleyTerry(), table, n=N_REPLICATES)
        ratio = found.standard_errors["worth"] / found.fit.standard_errors["worth"]
        assert not len(found.failures)
        # Standard deviations of a thousand draws are known to 1/sqrt(2,000) of themselves.
        assert np.abs(ratio - 1).max() < 0.1
        assert found.fit.log_likelihood is not None
        return found.fit.log_likelihood

    return call


def evalica(frame: pd.DataFrame) -> Callable[[], pd.Series]:
    from evalica import Winner, bradley_terry

    outcome = frame["winner"].map({"left": Winner.X, "right": Winner.Y})
    return lambda: np.log(bradley_terry(frame["left"], frame["right"], outcome).scores)


def choix(frame: pd.DataFrame) -> Callable[[], pd.Series]:
    from choix import ilsr_pairwise

    def call() -> pd.Series:
        names = sorted(set(frame["left"]) | set(frame["right"]))
        place = {name: code for code, name in enumerate(names)}
        won = frame["winner"] == "left"
        winner = frame["left"].where(won, frame["right"]).map(place)
        loser = frame["right"].where(won, frame["left"]).map(place)
        return pd.Series(ilsr_pairwise(len(names), list(zip(winner, loser, strict=True))), index=names)

    return call


def run() -> list[Section]:
    """Time all three at three sizes, and the bootstrap.

    Raises:
        RuntimeError: They did not reach the same maximum.
    """
    return [_beside("choix", 100_000, TENFOLD), _beside("evalica", 1_000_000, HALF), _alone()]


def _beside(peer: str, n_votes: int, required: float) -> Section:
    timings = take_turns("benchmarks.bench_bradley_terry", (f"psymetric {n_votes}", f"{peer} {n_votes}"))
    if max(abs(t.log_likelihood - timings[0].log_likelihood) for t in timings) > AGREEMENT:
        raise RuntimeError(f"different optima: {timings}")
    ratio = Ratio(timings[1], timings[0])
    missed = ratio.missed(required)
    text = (
        f"{n_votes:,} votes between {N_ITEMS} items, labels as strings, from frame to worths. psymetric returns\n"
        f"standard errors and checks that the maximum exists; {peer} returns worths.\n\n{as_table(timings)}\n\n"
        f"Required: ratio of {ratio.of} ≥ {required:g}; {verdict(missed)}."
    )
    return Section(f"Bradley-Terry worths from {n_votes:,} votes", text, timings, missed)


def _alone() -> Section:
    timings = take_turns("benchmarks.bench_bradley_terry", ("psymetric 10000000", "bootstrap 1000000"))
    missed = MANY.missed(timings[0]) + [f"bootstrap: {what}" for what in REPLICATES.missed(timings[1])]
    text = (
        f"Ten million votes between {N_ITEMS} items from frame to worths with standard errors; and a fit of a million\n"
        f"votes with {N_REPLICATES:,} bootstrap replicates.\n\n{as_table(timings)}\n\n"
        f"Required: {MANY}; bootstrap {REPLICATES}; {verdict(missed)}."
    )
    return Section("Bradley-Terry: ten million votes, and a bootstrap", text, timings, missed)


def main(name: str, n_votes: int) -> None:
    """Time one contestant."""
    data = votes(n_votes)
    contestant = {"psymetric": psymetric, "bootstrap": bootstrap, "evalica": evalica, "choix": choix}[name]
    ours = name in ("psymetric", "bootstrap")
    time_calls(
        f"{'psymetric' if ours else name} {version('psymetric' if ours else name)}"
        + (f", {name}" if name == "bootstrap" else ""),
        lambda: contestant(data),
        log_likelihood=float if ours else lambda worth: log_likelihood(data, worth),
        patience=PATIENCE,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
