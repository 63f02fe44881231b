from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import psymetric as ps
from psymetric.reporting.evidence import Evidence, read_part
from psymetric.reporting.section_next import next_section, project


def test_information_grows_with_the_answers_and_the_population_stays(simulated) -> None:
    part = read_part(simulated.fit, simulated.table)
    prior = 1 / float(simulated.fit.parameters["population_sd"]) ** 2
    now, later = project(part, 1), project(part, 4)
    assert now == pytest.approx(part.measures["se"].to_numpy())
    assert 1 / later**2 - prior == pytest.approx(4 * (1 / now**2 - prior))


def test_without_a_population_errors_halve_with_four_times_the_answers(simulated, pairs) -> None:
    part = read_part(*pairs)
    assert project(part, 4) == pytest.approx(part.measures["se"].to_numpy() / 2)


def test_no_information_stays_none(simulated) -> None:
    part = read_part(simulated.fit, simulated.table)
    vague = dataclasses.replace(
        part, measures=part.measures.assign(se=float(simulated.fit.parameters["population_sd"]))
    )
    assert np.ptp(project(vague, 8)) == pytest.approx(0.0, abs=1e-9)


def compared_next(part):
    section = next_section(Evidence((part,), None, 0.95, None, None))
    return next((block for block in section.blocks if getattr(block, "key", "") == "compare-next"), None)


def test_what_to_compare_next_is_what_next_pairs_says(pairs) -> None:
    fit, table = pairs
    part = read_part(fit, table)
    found = compared_next(part)
    n_pairs = len(part.measures) * (len(part.measures) - 1) // 2
    theirs = ps.next_pairs(fit, n=min(8, n_pairs), asked=table)
    np.testing.assert_array_equal(found.frame["left"], theirs["left"])
    np.testing.assert_allclose(found.frame["gain"], theirs["gain"])
    # What is open: 2 P (1 - P) of every pair.
    above = ps.pairwise_probabilities(fit).to_numpy()[np.triu_indices(len(part.measures), 1)]
    np.testing.assert_allclose(found.frame["gain"] / found.frame["share"], np.sum(2 * above * (1 - above)), rtol=1e-6)
    assert (found.frame["share"] < 1).all()


def test_nothing_to_compare_next_without_covariances_or_comparisons(simulated, pairs) -> None:
    fit, table = pairs
    assert compared_next(read_part(dataclasses.replace(fit, covariances={}), table)) is None
    assert compared_next(read_part(simulated.fit, simulated.table)) is None
