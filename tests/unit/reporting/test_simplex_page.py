"""The page of a simplex judge: never surer of an order than what the labels identify and other priors say."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.estimation.fit import FitStatus
from psymetric.reporting.simplex_claims import simplex_claims
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.sensitivity.prior_grid import PriorSensitivity

# The counter-example of Vossler et al. (2025): two worlds give these labels, one with A above B and one with A below.
FIRST = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.0, 0.0, 1.0]])
CANDIDATES = {"A <b>": (0.1, 0.9, 0.0), "B </svg>": (0.7, 0.1, 0.2)}
ROWS = pd.DataFrame({"reason": [""]})


def table_of(levels: int) -> ps.ResponseTable:
    judge = FIRST if levels == 3 else np.array([[0.9, 0.1], [0.2, 0.8]])
    shares = CANDIDATES if levels == 3 else {"A <b>": (0.2, 0.8), "B </svg>": (0.7, 0.3)}
    rows = [
        (name, "one", label + 1, round(10_000 * share))
        for name, truth in shares.items()
        for label, share in enumerate(np.array(truth) @ judge)
    ]
    frame = pd.DataFrame(rows, columns=["system", "judge", "score", "count"])
    return ps.ResponseTable.from_frame(
        frame, response="score", subject="system", facets="judge", weight="count", categories=range(1, levels + 1)
    )


def fit_of(table: ps.ResponseTable) -> ps.Fit:
    """Draws close around a world in which A is clearly above B, as a sampler would leave them."""
    rng, levels = np.random.default_rng(1), len(table.categories)
    truth = {3: [[0.1, 0.3, 0.6], [0.7, 0.2, 0.1]], 2: [[0.2, 0.8], [0.7, 0.3]]}[levels]
    prevalence = np.stack([rng.dirichlet(200 * np.array(row), (2, 150)) for row in truth], axis=2)
    rows = 0.6 * np.eye(levels) + 0.4 / levels
    draws = {
        "prevalence": prevalence,
        "confusion": np.stack([rng.dirichlet(50 * row, (2, 150)) for row in rows], axis=2)[:, :, None],
    }
    model = ps.SimplexJudge()
    details = {"r_hat": 1.002, "ess_bulk": 512.0, "ess_tail": 512.0, "divergences": 0.0, "mean_steps": 7.0}
    return ps.Fit(
        model=model,
        engine="NUTS",
        status=FitStatus(True, "as asked", 300, details),
        log_likelihood=None,
        n_parameters=4 + 6,
        n_responses=float(table.weight.sum()),
        parameters={name: value.mean(axis=(0, 1)) for name, value in draws.items()},
        standard_errors={name: value.std(axis=(0, 1)) for name, value in draws.items()},
        covariances={},
        draws=draws,
        levels=model.levels(table),
        categories=table.categories,
        counts={},
        extremes={},
        penalised=True,
        notes=model.notes(table),
        provenance=Provenance(table.hash),
    )


def grid(above: list[float], identified: str) -> PriorSensitivity:
    """A grid of two priors: the model's own, and one other."""
    names = tuple(CANDIDATES)
    chances = np.array([[[0.5, p], [1 - p, 0.5]] for p in above])
    own = ps.SimplexJudge()
    cells = pd.DataFrame(
        {
            "quality": [own.quality, 0.3],
            "prior_labels": own.prior_labels,
            "candidate_sd": 0.0,
            "order": "none",
            "reference": [True, False],
            "r_hat": 1.0,
            "ess": 500.0,
            "diverging": 0.0,
            "usable": True,
        }
    )
    means = pd.DataFrame(
        [(cell, name, 2.0, 0.1, 1.8, 2.2, rank, 1, 2) for cell in (0, 1) for rank, name in enumerate(names, start=1)],
        columns=["cell", "candidate", "estimate", "se", "lower", "upper", "rank", "rank_lower", "rank_upper"],
    )
    return PriorSensitivity(cells, means, chances, names, 0.95, {names: identified})


@pytest.fixture(scope="module")
def three() -> tuple[ps.Fit, ps.ResponseTable]:
    table = table_of(3)
    return fit_of(table), table


@pytest.fixture(scope="module")
def two() -> tuple[ps.Fit, ps.ResponseTable]:
    table = table_of(2)
    return fit_of(table), table


def test_an_order_that_the_labels_do_not_identify_is_never_claimed(three) -> None:
    page = ps.report(*three)
    assert page.scores["p_best"].iloc[0] > 0.99
    first = page.record["claims"][0]
    assert first["text"].startswith("A <b> and B </svg> cannot be ranked: judges and candidates with either order")
    assert first["strength"] == "open"
    assert not [claim for claim in page.record["claims"] if claim["strength"] == "firm"]
    assert "rests on the prior of the judges was not tried" in " ".join(page.claims)
    row = page.record["tables"]["identified"][0]
    # Both worlds of the counter-example lie in the range: +0.40 and -0.46.
    assert row["lower"] < -0.46 < 0.40 < row["upper"]
    assert row["verdict"] == "not identified"
    assert re.findall(r'<section id="([a-z]+)"', page.html) == [
        "scores", "identified", "judges", "missing", "sampling", "appendix",
    ]  # fmt: skip
    assert "Judge and candidates in the triangle of three levels" in page.html


def test_names_stay_text(three) -> None:
    page = ps.report(*three).html
    assert "A <b>" not in page
    assert page.count("</svg>") == page.count("<svg")


def test_scores_are_those_of_the_public_functions(three) -> None:
    page = ps.report(*three)
    expected = ps.candidate_scores(*three).frame.set_index("subject")
    shown = page.scores.set_index("level")
    for name in ("estimate", "se", "lower", "upper"):
        np.testing.assert_allclose(shown[name].loc[expected.index], expected[name])
    labels = {"A <b>": 1 * 0.32 + 2 * 0.39 + 3 * 0.29, "B </svg>": 0.38 + 2 * 0.25 + 3 * 0.37}
    assert shown["labels"].to_dict() == pytest.approx(labels)


@pytest.mark.parametrize(
    ("above", "identified", "words", "strength"),
    [
        ([0.99, 0.10], "no", "the order flips with the judge prior (probability that the first is above: .10", "open"),
        ([0.99, 0.97], "sign", "so it is under each of 2 priors tried.", "firm"),
        ([0.99, 0.70], "sign", "under this prior, but over the priors tried it goes from .70 to over .99", "open"),
    ],
)
def test_other_priors_decide_what_is_claimed(
    two, three, above: list[float], identified: str, words: str, strength: str
) -> None:
    fit, table = three if identified == "no" else two
    evidence = SimplexEvidence(fit, table, 0.95, grid(above, identified))
    found = simplex_claims(evidence, ROWS)
    assert words in found[0].text
    assert found[0].strength == strength


def test_two_levels_identify_the_order_of_judges_no_worse_than_chance(two) -> None:
    found = simplex_claims(SimplexEvidence(*two, 0.95), ROWS)
    assert found[0].text.endswith("the labels identify that order.")
    assert found[0].strength == "firm"


def test_the_page_has_a_section_for_the_priors(two) -> None:
    page = ps.report(*two, sensitivity=grid([0.99, 0.70], "sign"))
    assert 'id="sensitivity"' in page.html
    assert page.record["tables"]["pairs"][0]["label"] == "sensitive"
    tips = {row["setting"]: row["tipping"] for row in page.record["tables"]["tipping"]}
    # From .99 at .6 to .70 at .3 the line meets .95 at .6 - .3 * 4 / 29.
    assert float(tips["quality"]) == pytest.approx(0.56, abs=0.005)
    assert "Priors tried: quality 0.6, 0.3" in page.html


def test_what_does_not_fit_is_named(two) -> None:
    fit, table = two
    with pytest.raises(
        DataError, match=r"MAP gives no draws, and candidates of a SimplexJudge need the whole posterior"
    ):
        ps.report(dataclasses.replace(fit, draws=None, engine="MAP"), table)
    other = dataclasses.replace(grid([0.9, 0.9], "sign"), candidates=("x", "y"))
    with pytest.raises(DataError, match=r"sensitivity is of candidates \['x', 'y'\], not of those of the fit"):
        ps.report(fit, table, sensitivity=other)
