"""The posterior of a many-facet Rasch model: psymetric's NUTS and PyMC's on the same ratings, model and priors."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.bench_mfrm import simulated
from benchmarks.runner import output_of

if TYPE_CHECKING:
    import psymetric as ps

TITLE = "Posterior of a many-facet Rasch model, No-U-Turn sampling"
REQUIRED_RATIO = 5.0
REACH = 5.0
"""Monte Carlo standard errors between two posterior means: among 600 numbers, left by chance once in three thousand."""


@dataclass(frozen=True)
class Sampled:
    """What one sampler got out of one fit.

    Attributes:
        program: Name and version.
        cold, warm: Wall seconds of the first fit in a fresh process, compilation included, and of the second.
        cpu: Processor seconds of the second, those of its processes included.
        mean, sd, ess: Posterior mean and sd, and bulk effective sample size, of every number.
        status: R-hat, effective sizes and divergences as the fit reports them.
    """

    program: str
    cold: float
    warm: float
    cpu: float
    mean: list[float]
    sd: list[float]
    ess: list[float]
    status: str

    @property
    def least_ess(self) -> float:
        """Bulk effective sample size of the worst number."""
        return min(self.ess)


def sample(program: str, engine: ps.NUTS | ps.PyMCNUTS) -> Sampled:
    """Fit twice; the second fit counts."""
    import psymetric as ps

    frame = simulated(500, 25)
    table = ps.ResponseTable.from_frame(frame, response="score", subject="person", item="item", facets=("rater",))
    model = ps.ManyFacetRasch(facets=("item", "rater"), random=())
    started = time.perf_counter()
    ps.fit(model, table, engine=engine, throw=False)
    cold, started, used = time.perf_counter() - started, time.perf_counter(), processor_seconds()
    fit = ps.fit(model, table, engine=engine, throw=False)
    warm, cpu = time.perf_counter() - started, processor_seconds() - used
    mean, sd, ess = (np.concatenate(parts).tolist() for parts in zip(*summaries(fit), strict=True))
    return Sampled(program, cold, warm, cpu, mean, sd, ess, fit.status.message)


def summaries(fit: ps.Fit) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Mean, sd and bulk effective sample size of every number, subjects included, by parameter."""
    from psymetric.estimation.arviz_adapter import load_arviz, named_draws

    ess = load_arviz().ess(named_draws(fit.draws), method="bulk")
    return [
        (np.ravel(fit.parameters[name]), np.ravel(fit.standard_errors[name]), np.ravel(ess[name]))
        for name in sorted(fit.draws)
    ]


def processor_seconds() -> float:
    """Used by this process and by those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def check_agreement(ours: Sampled, theirs: Sampled) -> None:
    """Raise RuntimeError where two posterior means differ by more than their Monte Carlo errors."""
    error = np.sqrt(sum(np.square(one.sd) / np.array(one.ess) for one in (ours, theirs)))
    distance = np.abs(np.subtract(ours.mean, theirs.mean)) / error
    if distance.max() > REACH:
        raise RuntimeError(f"different posteriors: means up to {distance.max():.1f} Monte Carlo standard errors apart")


def run() -> tuple[str, str, bool, list[str]]:
    """Sample with both; returns a title, a section in Markdown, whether the ratio was met, and terminal lines.

    Raises:
        RuntimeError: Their posterior means differ.
    """
    ours, theirs = (Sampled(**output_of("benchmarks.bench_nuts", name)) for name in ("psymetric", "pymc"))
    check_agreement(ours, theirs)
    wall, cpu = ((ours.least_ess / mine) / (theirs.least_ess / other) for mine, other in
                 ((ours.warm, theirs.warm), (ours.cpu, theirs.cpu)))  # fmt: skip
    verdict = "met" if wall >= REQUIRED_RATIO else "missed"
    rows = [
        f"| {one.program} | {one.cold:.0f} | {one.warm:.0f} | {one.cpu:.0f} | {one.least_ess:.0f} "
        f"| {one.least_ess / one.warm:.2f} | {one.least_ess / one.cpu:.2f} | {one.status} |"
        for one in (ours, theirs)
    ]
    text = "\n".join(
        [
            "10,000 simulated ratings: 500 persons, 4 of 25 raters each, 5 items, 5 categories; fixed facets, the same",
            "priors. psymetric integrates the persons out and draws them afterwards; PyMC samples them, written non-",
            "centred, with its default settings, a process per chain. The least bulk effective sample size is over all",
            "numbers, persons included; warm-up is part of the time. Posterior means agree within Monte Carlo error.",
            "",
            "| program | cold, s | warm, s | warm, CPU s | least bulk ESS | ESS per s | ESS per CPU s | status |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Effective draws per second, ratio **{wall:.0f}** (per CPU second {cpu:.0f}); {REQUIRED_RATIO:.0f} is "
            f"required: {verdict} in this run.",
        ]
    )
    lines = [
        f"  {one.program:18} warm {one.warm:7.1f} s   CPU {one.cpu:7.1f} s   least bulk ESS {one.least_ess:6.0f}"
        for one in (ours, theirs)
    ]
    return TITLE, text, wall >= REQUIRED_RATIO, [*lines, f"  ratio of ESS per second {wall:.0f}, per CPU s {cpu:.0f}"]


if __name__ == "__main__":
    import psymetric as ps

    # PyMC's default is one chain per core, two at least.
    n_chains = max(2, min(4, os.cpu_count() or 1))
    engines = {"psymetric": ps.NUTS(), "pymc": ps.PyMCNUTS(chains=n_chains, cores=min(4, os.cpu_count() or 1))}
    print(json.dumps(asdict(sample(f"{sys.argv[1]} {version(sys.argv[1])}", engines[sys.argv[1]]))))
