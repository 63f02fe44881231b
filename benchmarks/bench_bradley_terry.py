"""Bradley-Terry worths from simulated votes: psymetric, evalica and choix on the same comparisons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.runner import Target

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
        value = ps.fit(ps.BradleyTerry(), table).log_likelihood
        assert value is not None
        return value

    return call


def bootstrap(frame: pd.DataFrame) -> Callable[[], float]:
    """A fit and its replicates, from a table that is there already."""
    import psymetric as ps

    table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner")

    def call() -> float:
        found = ps.bootstrap(ps.BradleyTerry(), table, n=N_REPLICATES)
        value = found.fit.log_likelihood
        ratio = found.standard_errors["worth"] / found.fit.standard_errors["worth"]
        # Standard deviations of a thousand draws are known to 1/sqrt(2,000) of themselves.
        assert value is not None
        assert not len(found.failures)
        assert np.abs(ratio - 1).max() < 0.1
        return value

    return call


def evalica(frame: pd.DataFrame) -> Callable[[], float]:
    from evalica import Winner, bradley_terry

    outcome = frame["winner"].map({"left": Winner.X, "right": Winner.Y})
    worths: list[pd.Series] = []

    def call() -> float:
        found = bradley_terry(frame["left"], frame["right"], outcome)
        worths[:] = [np.log(found.scores)]
        return float("nan")

    call.value = lambda: log_likelihood(frame, worths[0])  # type: ignore[attr-defined]
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
