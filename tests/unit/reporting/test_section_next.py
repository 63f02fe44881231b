from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from psymetric.reporting.evidence import read_part
from psymetric.reporting.section_next import project


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
