"""Choices of schools and of sounds against R's psychotools 0.7-2, with and without undecided."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

pytestmark = pytest.mark.shared_data

# R's iterations stop when the deviance moves by 1e-8 of itself: its logit and log-linear fits of the same likelihood
# differ by 3e-10 in the worths and by 2e-6 of the errors, which are those of the last but one iteration.
WORTHS, ERRORS = 1e-7, 1e-5


def table(expected: dict, *, ties: bool) -> ps.PairTable:
    counts = pd.DataFrame(expected["aggregated"])
    long = counts.melt(["obj1", "obj2"], ["win1", "win2", "tie"] if ties else ["win1", "win2"], "result", "n")
    outcomes = {"win1": "left", "win2": "right", "tie": "tie"}
    return ps.PairTable.from_frame(long, left="obj1", right="obj2", outcome="result", weight="n", outcomes=outcomes)


@pytest.mark.parametrize("name", ["CEMSChoice_logit", "CEMSChoice_noties", "CEMSChoice_und", "SoundQuality_noties"])
def test_choices(oracles, held, name):
    """`loglik` is the kernel without multinomial coefficients; "(undecided)" is our log ν (oracles/FITS.md, trap 8)."""
    expected = json.loads((oracles / "fits" / "psychotools" / f"{name}.json").read_text())
    undecided = "(undecided)" in expected["raw_coefficients"]
    fit = ps.fit(ps.BradleyTerry(ties="davidson" if undecided else None), table(expected, ties=undecided))
    worths, labels = expected["itempar_log_sumzero"], expected["labels"]
    order = [labels.index(label) for label in fit.levels["item"]]
    theirs = np.array([worths["estimate"][label] for label in labels])[order]
    held(f"psychotools/{name}", "worths", fit.parameters["worth"], theirs, atol=WORTHS)
    errors = np.array(worths["se"])[order]
    held(f"psychotools/{name}", "SE of worths", fit.standard_errors["worth"], errors, rtol=ERRORS)
    held(f"psychotools/{name}", "log-likelihood", fit.log_likelihood, expected["loglik"], atol=1e-5)
    if undecided:
        log_nu = expected["raw_coefficients"]["(undecided)"]
        held(f"psychotools/{name}", "log ν", fit.parameters["tie"], log_nu, atol=WORTHS)
        held(f"psychotools/{name}", "SE of log ν", fit.standard_errors["tie"], expected["raw_se"][-1], rtol=ERRORS)
