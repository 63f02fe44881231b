"""R-hat and effective sizes against the paper's formulas in numpy, ranks against what chains were made to do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from given_fits import given_fit
from scipy.stats import norm, rankdata

import psymetric as ps
from psymetric.diagnostics.sampling import rank_shares, sampling_diagnostics
from psymetric.errors import DataError

WHOLE = 0.01  # a part holds a whole number of draws, one of 40 here
JUDGES, ITEMS = ("mild", "even", "stern"), ("warmth", "wit")


def normal_scores(draws: np.ndarray) -> np.ndarray:
    """Vehtari et al. (2021), eq. 14."""
    return norm.ppf((rankdata(draws).reshape(draws.shape) - 3 / 8) / (draws.size + 1 / 4))


def plain_r_hat(chains: np.ndarray) -> float:
    """Gelman & Rubin's ratio of halved chains, shape (chains, draws)."""
    halves = chains.reshape(2 * len(chains), -1)
    within, n = halves.var(axis=1, ddof=1).mean(), halves.shape[1]
    return float(np.sqrt(((n - 1) / n * within + halves.mean(axis=1).var(ddof=1)) / within))


def naive_r_hat(chains: np.ndarray) -> float:
    """The larger of the bulk's and of the folded draws', section 4.1."""
    folded = np.abs(chains - np.median(chains))
    return max(plain_r_hat(normal_scores(draws)) for draws in (chains, folded))


def chains(rng: np.random.Generator, shape: tuple[int, ...], carry: float = 0.0) -> np.ndarray:
    """Autoregressive draws of unit variance, shape (chains, draws, ...)."""
    found = rng.standard_normal(shape)
    for place in range(1, shape[1]):
        found[:, place] = carry * found[:, place - 1] + np.sqrt(1 - carry**2) * found[:, place]
    return found


@pytest.fixture(scope="module")
def drawn() -> ps.Fit:
    rng = np.random.default_rng(3)
    fit = given_fit(
        ps.ManyFacetRasch(),
        {"item": ITEMS, "judge": JUDGES},
        (1, 2, 3),
        item=[-0.5, 0.5],
        judge=[-0.6, 0.0, 0.6],
        step=[[-1.0, 1.0]],
    )
    judge = chains(rng, (4, 500, 3))
    judge[..., 1] = chains(rng, (4, 500), carry=0.9)
    judge[0, :, 2] += 2.0
    draws = {
        "judge": judge,
        "item": chains(rng, (4, 500, 2)) * 0.2,
        "step": np.broadcast_to([-1e4, 1e4], (4, 500, 1, 2)) + chains(rng, (4, 500, 1, 2)),
        "population_sd": np.exp(0.1 * chains(rng, (4, 500))),
        "population_mean": np.zeros((4, 500)),
        "ability": chains(rng, (4, 500, 2)),
    }
    status = dataclasses.replace(fit.status, details={"r_hat": 1.0})
    return dataclasses.replace(fit, draws=draws, status=status, engine="NUTS", levels={**fit.levels, "subject": (1, 2)})


def test_against_the_formulas(drawn: ps.Fit) -> None:
    frame = sampling_diagnostics(drawn).set_index(["parameter", "level"])
    assert drawn.draws is not None
    for place, judge in enumerate(JUDGES):
        own, row = drawn.draws["judge"][:, :, place], frame.loc[("judge", judge)]
        assert row["r_hat"] == pytest.approx(naive_r_hat(own), rel=1e-6)
        assert row["mean"] == pytest.approx(own.mean())
        assert row["sd"] == pytest.approx(own.std(ddof=1))
    independent = frame.loc[("item", "wit")]
    # Independent draws are worth themselves.
    assert independent["ess_bulk"] == pytest.approx(2_000, rel=0.25)
    assert independent["mcse"] == pytest.approx(independent["sd"] / np.sqrt(independent["ess_bulk"]), rel=0.05)
    # Draws that carry .9 on are worth (1 − .9)/(1 + .9) of themselves.
    assert frame.loc[("judge", "even"), "ess_bulk"] == pytest.approx(2_000 * 0.1 / 1.9, rel=0.5)


def test_worst_first_and_flagged(drawn: ps.Fit) -> None:
    frame = sampling_diagnostics(drawn)
    assert frame["level"].tolist()[:2] == ["stern", "even"]
    least = frame[["ess_bulk", "ess_tail"]].min(axis=1)
    assert (least.diff().dropna() >= 0).all()
    flags = frame.set_index("level")["flag"]
    assert flags["stern"] == "chains disagree: R-hat above 1.01; few effective draws: under 400"
    assert flags["even"].endswith("few effective draws: under 400")
    assert flags["wit"] == ""


def test_what_never_moves_and_the_subjects_are_left_out(drawn: ps.Fit) -> None:
    names = set(sampling_diagnostics(drawn)["parameter"])
    assert names == {"judge", "item", "population_sd"}
    assert sampling_diagnostics(drawn, parameters=("ability",))["level"].tolist() in (["1", "2"], ["2", "1"])
    assert sampling_diagnostics(drawn, parameters=("population_mean",)).empty


def test_one_chain_has_no_r_hat(drawn: ps.Fit) -> None:
    assert drawn.draws is not None
    alone = dataclasses.replace(drawn, draws={name: value[:1] for name, value in drawn.draws.items()})
    frame = sampling_diagnostics(alone)
    assert frame["r_hat"].isna().all()
    assert np.isfinite(frame["ess_bulk"]).all()


def test_ranks_of_chains_that_never_meet() -> None:
    draws = np.arange(400.0).reshape(2, 200)
    shares, _ = rank_shares(draws, bins=10)
    np.testing.assert_allclose(shares, [[2.0] * 5 + [0.0] * 5, [0.0] * 5 + [2.0] * 5])


def test_band_holds_its_share_of_parts() -> None:
    """Independent chains: 95 % of the parts are within the band, within four Monte Carlo errors."""
    rng, size = np.random.default_rng(8), 150
    inside = []
    for _ in range(size):
        shares, chance = rank_shares(rng.standard_normal((4, 400)), bins=10)
        inside.append(np.mean(np.abs(shares - 1) <= chance))
    assert abs(np.mean(inside) - 0.95) < 4 * np.std(inside, ddof=1) / np.sqrt(size) + WHOLE


def test_refusals(drawn: ps.Fit) -> None:
    with pytest.raises(DataError, match="sampling_diagnostics: MarginalML has no chains to compare: fit with NUTS"):
        sampling_diagnostics(dataclasses.replace(drawn, draws=None, engine="MarginalML"))
    with pytest.raises(DataError, match="no draws of 'jugde'; did you mean 'judge'"):
        sampling_diagnostics(drawn, parameters=("jugde",))
