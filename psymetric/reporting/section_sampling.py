"""Sampling: whether the chains agree, how many draws they are worth, and how far an approximation can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from psymetric.diagnostics.sampling import sampling_diagnostics
from psymetric.estimation.diagnosis import ESS_WARNING, R_HAT_WARNING
from psymetric.estimation.svi import UNRELIABLE
from psymetric.plots.mixing import draw_mixing, mixing_panels
from psymetric.reporting.fitted import Fitted
from psymetric.reporting.key_figures import facet_words
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Table, Text, draw
from psymetric.reporting.wording import numbered

__all__ = ["sampling_section"]

_PANELS, _ROWS = 3, 12
_MOST_SUBJECTS = 1_000
"""Subjects beyond which diagnosing each of them would take longer than the rest of the page."""


def sampling_section(parts: Sequence[Fitted]) -> Section | None:
    """Chains and approximations of every part; nothing where estimates are a maximum."""
    blocks: list[Block] = []
    for number, part in enumerate(parts):
        details = part.fit.status.details
        found = _chains(part, number, alone=len(parts) == 1) if "r_hat" in details else _approximation(part)
        if found and len(parts) > 1:
            blocks.append(Heading(plain(part.label, 60)))
        blocks += found
    return Section("sampling", "Sampling", tuple(blocks)) if blocks else None


def _chains(part: Fitted, number: int, *, alone: bool) -> list[Block]:
    fit, draws = part.fit, part.fit.draws or {}
    subjects = len(fit.levels.get("subject", ()))
    # NUTS draws subjects from their exact conditional; where they were sampled they can be what mixes worst.
    every = tuple(draws) if fit.engine == "PyMCNUTS" and subjects <= _MOST_SUBJECTS else None
    frame = sampling_diagnostics(fit, parameters=every)
    if frame.empty:
        return []
    worst = mixing_panels(fit, frame, most=_PANELS if alone else 1)
    words = [facet_words(part, name) for name in frame["parameter"]]
    names = [f"{word}: {level}" if level else word for word, level in zip(words, frame["level"], strict=True)]
    panels = [replace(panel, label=plain(name)) for panel, name in zip(worst, names, strict=False)]
    chains = len(panels[0].draws)
    reading = (
        f"The {numbered(len(panels), 'number')} sampled worst. Every chain's draws in order: chains that agree lie "
        "on one another and do not drift."
    )
    if chains > 1:
        reading += (
            " Ranks of each chain's draws among all: even bars, mostly within the grey band, mean agreement; a slope "
            "or a hump in one chain means that it was somewhere else."
        )
    figure = draw(
        lambda width: draw_mixing(panels, width=width),
        name=f"sampling-{number}",
        title="Traces and ranks of the numbers sampled worst",
        reading=reading,
        description=f"{reading} {'; '.join(f'{panel.label}: ESS {panel.ess:,.0f}' for panel in panels)}.",
    )
    return [Text(_verdict(part, chains)), figure, _table(part, frame.assign(parameter=words), number)]


def _verdict(part: Fitted, chains: int) -> tuple[str, ...]:
    """What the chains' numbers mean, in words."""
    details = part.fit.status.details
    r_hat, n_draws = details["r_hat"], part.fit.status.iterations
    each = f"{numbered(chains, 'chain')} of {n_draws // chains:,} draws"
    if chains == 1:
        first = f"{each} cannot be compared with another: run four to see whether they agree."
    else:
        agree = "agree" if r_hat <= R_HAT_WARNING else "do not agree yet"
        first = f"{each} {agree}: R-hat is at most {r_hat:.3f}, where 1 is agreement and {R_HAT_WARNING} the limit."
    bulk, tail = details["ess_bulk"], details["ess_tail"]
    enough = "which is enough" if min(bulk, tail) >= ESS_WARNING else f"and {ESS_WARNING} are wanted: run more"
    second = (
        f"The draws are worth at least {bulk:,.0f} independent ones for the middle of every distribution and "
        f"{tail:,.0f} for its tails, {enough}."
    )
    diverged = int(details["divergences"])
    third = (
        f"{numbered(diverged, 'transition')} of {n_draws:,} diverged: the sampler may not reach some part of the "
        "posterior. Raise target_accept, and see whether the results stay."
        if diverged
        else "No transition diverged."
    )
    return (f"{first} {second} {third}",)


def _table(part: Fitted, frame: pd.DataFrame, number: int) -> Table:
    shows = [
        Show("parameter", "parameter", "label"),
        Show("level", "level", "label"),
        Show("mean", "mean", "estimate", "Posterior mean", se="sd"),
        Show("sd", "sd", "se", "Posterior standard deviation", se="sd"),
        Show("mcse", "MC error", "number", "Standard error of the mean from the finite number of draws", digits=4),
        Show("r_hat", "R-hat", "number", f"1 where chains agree; above {R_HAT_WARNING} they do not", digits=3),
        Show("ess_bulk", "ESS bulk", "number", "Independent draws they are worth, for the mean", digits=0),
        Show("ess_tail", "ESS tail", "number", "Independent draws they are worth, for the ends of intervals", digits=0),
        Show("flag", "flag", "flag"),
    ]
    suffix = "" if part.label is None else f"-{number}"
    caption = "How well each number was sampled, the worst first"
    return make_table(f"sampling{suffix}", frame, shows, caption=caption, most=_ROWS, both_ends=False)


def _approximation(part: Fitted) -> list[Block]:
    """How close a variational approximation came; it has no chains."""
    details = part.fit.status.details
    if "pareto_k" not in details:
        return []
    k_hat, ess = details["pareto_k"], details["ess_importance"]
    first = "These draws are independent draws from an approximation, so that there are no chains to compare."
    second = (
        f"Weighted towards the posterior they are worth {ess:,.0f}, with a Pareto k-hat of {k_hat:.2f}: up to "
        f"{UNRELIABLE} the weights can be trusted, and they were applied."
        if k_hat <= UNRELIABLE
        else f"Their Pareto k-hat is {k_hat:.2f}, above {UNRELIABLE}: the approximation is far from the posterior and "
        "could not be corrected. Check what matters with NUTS."
    )
    return [Text((f"{first} {second}",))]
