from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from report_cases import fit_of

import psymetric as ps

SUBJECTS, JUDGES, ROWS = 5_000, 1_000, 40_000


@pytest.mark.slow
def test_page_of_many_levels_stays_small_and_readable() -> None:
    """The fit is made by hand: what is tested is the page."""
    rng = np.random.default_rng(0)
    ability, severity = rng.normal(size=SUBJECTS), np.sort(rng.normal(0, 0.5, JUDGES))
    subject = np.r_[np.arange(SUBJECTS), rng.integers(SUBJECTS, size=ROWS - SUBJECTS)]
    judge = np.r_[np.arange(JUDGES), rng.integers(JUDGES, size=ROWS - JUDGES)]
    answer = rng.random(ROWS) < 1 / (1 + np.exp(severity[judge] - ability[subject]))
    frame = pd.DataFrame({"s": subject, "judge": judge, "answer": answer.astype(int)})
    table = ps.ResponseTable.from_frame(frame, response="answer", subject="s", facets=("judge",))
    fit = fit_of(judge=severity.tolist(), judge_se=0.3, population_sd=1.0)
    fit = dataclasses.replace(
        fit,
        parameters={**fit.parameters, "step": np.zeros((1,))},
        standard_errors={**fit.standard_errors, "step": np.zeros((1,))},
        levels={"subject": table.levels["subject"], "judge": table.levels["judge"]},
        provenance=dataclasses.replace(fit.provenance, source=table.hash),
    )
    truth = pd.DataFrame({"facet": "subject", "level": range(SUBJECTS), "true": ability})
    page = ps.report(fit, table, truth=truth).html
    assert len(page.encode()) < 5_000_000
    assert page.count("<tr") < 1_500
    assert max(len(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)) < 400_000
    assert "… 4,700 more rows are in the CSV …" in page
