"""Conditional maximum likelihood: psymetric and R's psychotools on the same answers.

psychotools runs where `Rscript` finds it; elsewhere its recorded seconds stand in, and say so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from benchmarks.ours import fitting, table_of
from benchmarks.runner import Section, Target, Timing, as_table, take_turns, time_calls, verdict

SHARED = Path(__file__).resolve().parents[2] / "shared/oracles/fits/timing"
FILES = {"rasch": "rasch_1000x20.csv.gz", "pcm": "pcm_1000x20_4c.csv.gz"}
RECORDED = {"rasch": (0.021, -8292.04513721373), "pcm": (0.185, -16864.8845341239)}
"""Wall seconds and log-likelihood of psychotools 0.7-6 on two such cores."""
TITLES = {"rasch": "Rasch model", "pcm": "Partial credit model"}
REQUIRED_RATIO = 2.0
AGREEMENT = 1e-4
R_SCRIPT = """
suppressPackageStartupMessages(library(psychotools))
arguments <- commandArgs(TRUE)
data <- as.matrix(read.csv(gzfile(arguments[1])))
fitter <- if (arguments[2] == "rasch") raschmodel else pcmodel
seconds <- sapply(1:4, function(i) {
  spent <- system.time(fit <<- fitter(data))
  c(spent[["elapsed"]], spent[["user.self"]] + spent[["sys.self"]])
})
cat(sprintf('{"cold": %f, "warm": %f, "warm_cpu": %f, "log_likelihood": %.10f, "version": "%s"}',
    seconds[1, 1], min(seconds[1, -1]), min(seconds[2, -1]), as.numeric(logLik(fit)), packageVersion("psychotools")))
"""


def psymetric(kind: str) -> Callable[[], float]:
    import psymetric as ps

    table = table_of(pd.read_csv(SHARED / FILES[kind]).to_numpy())
    model = ps.Rasch() if kind == "rasch" else ps.ManyFacetRasch(facets=("item",), steps="item")
    return fitting(model, table, ps.ConditionalML())


def psychotools(kind: str) -> Timing:
    """Measured now where R has the package, else as recorded."""
    nan = float("nan")
    if shutil.which("Rscript"):
        command = ["Rscript", "-e", R_SCRIPT, str(SHARED / FILES[kind]), kind]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        if found.returncode == 0:
            values = json.loads(found.stdout)
            program = f"psychotools {values.pop('version')}"
            return Timing(program, **values, cold_cpu=nan, peak=nan)
    seconds, log_likelihood = RECORDED[kind]
    return Timing("psychotools, as recorded", nan, seconds, nan, nan, log_likelihood, nan)


def _section(kind: str) -> Section:
    (ours,) = take_turns("benchmarks.bench_cml", (f"psymetric {kind}",))
    theirs = psychotools(kind)
    if abs(ours.log_likelihood - theirs.log_likelihood) > AGREEMENT:
        raise RuntimeError(f"different optima: {ours} {theirs}")
    missed = Target(warm=REQUIRED_RATIO * theirs.warm).missed(ours)
    text = (
        "1,000 subjects, 20 items (the shared timing data). Both return standard errors; psymetric fits a normal\n"
        f"population to the sums as well.\n\n{as_table([ours, theirs])}\n\n"
        f"Required: within {REQUIRED_RATIO:g} times psychotools; "
        f"{verdict(missed)}."
    )
    return Section(f"{TITLES[kind]}, conditional maximum likelihood", text, [ours, theirs], missed)


def run() -> list[Section]:
    """Time both models; nothing where the shared data are not there.

    Raises:
        RuntimeError: The programs did not reach the same maximum.
    """
    return [_section(kind) for kind in FILES] if SHARED.exists() else []


if __name__ == "__main__":
    time_calls(f"psymetric {version('psymetric')}", lambda: psymetric(sys.argv[2]), warm_runs=20)
