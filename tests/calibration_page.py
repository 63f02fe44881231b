"""The validation pages of simulation-based calibration: what was done, and what the rule for all checks found."""

from __future__ import annotations

from collections.abc import Mapping

import calibration_study
import numpy as np
from calibration_study import N_RANKS, Checks, Ranks, dispersion

import psymetric as ps

METHOD = f"""Parameters are drawn from the priors that a model documents, by NumPy and not by the code that fits;
{{drawn}} from the model. NUTS fits the same model. If priors, likelihood and
sampler agree, the rank of the true value among {N_RANKS - 1} posterior draws is uniform (Talts et al., 2018), for
priors as wide as they are and tables as small: {{tables}}. One level,
drawn by lot, stands for each array.{{classes}} The log-likelihood of {{likelihood}}, is ranked as
well, since it depends on all of them together (Modrák et al., 2025){{without}}. {{again}}, which leaves the
posterior as it is. There are {{sets}}. A chain keeps one draw in
{{thin}}, of {{draws}} after {{warmup}} of warm-up; in {{few:.1%}} of all fits the smallest effective sample size is
under {N_RANKS - 1} (most often of {{worst_few}}).{{grid}}

*χ² p*: equal counts in {calibration_study.BINS} bins, its p simulated. *ECDF band p*: the ranks' distribution
function against a band that holds at all ranks at once (Säilynoja et al., 2022). *Dispersion p*, per model: the mean
squared distance from the middle rank over all its quantities. Uniform ranks give any p with equal chance. The rule:
of {{checks}} checks none may be under {calibration_study.FAMILY:g} / {{checks}} = {{bound:.1e}}, which calibrated
models fail once in {1 / calibration_study.FAMILY:.0f} runs (Bonferroni). The smallest is {{least:.1e}} ({{where}});
{{low}} are under .05, where {{expected:.0f}} are expected. The smallest dispersion p is {{dispersion:.2g}}. Were
draws pulled towards their mean by a third, the dispersion of {{noticed}} of {{models}} models would fail by the same
rule.{{again_found}}"""
# Some fifteen draws per draw ranked, so that those ranked are nearly independent.
ENGINE = ps.NUTS(warmup=150, draws=300, chains=1)


ABOUT_RESPONSES = {
    "drawn": "abilities from the population so drawn; scores",
    "tables": "6 to 15 subjects and 3 to 5 items, or 4 items in pairs",
    "likelihood": "the responses, given parameters and abilities",
    "without": "; models that integrate out a second latent\nvariable do not draw it",
    "again": "Tables in which a group of steps leaves a category unused are drawn again",
    "sets": "100 data sets of each model, and 50 of the four costliest",
    "classes": "",
    "grid": " Engines choose the nodes of the subjects' grid by the data; here\nall tables of a model have the same.",
}
ABOUT_COMPARISONS = {
    "drawn": "answers",
    "tables": """4 or 6 items, shown in pairs
in both orders, or in sets of three and four, to one judge or to three; for mixtures, 3 to 5 items and 12 judges""",
    "likelihood": "the answers, given all parameters",
    "without": "",
    "again": "Tables in which no tie occurs, where a model has\na parameter for it, are drawn again",
    "sets": "100 data sets of each model",
    "classes": """ Classes of a mixture are alike to the prior, and
have no names that truth and draws could share: ranked is what is the same under every order of them, such as the share
of the largest, the squared distance of the worths of two (summed over pairs of classes) and the mean over all judges,
which are the classes' values weighted by their shares. Votes and log-likelihood of mixtures are NumPy's own.""",
    "grid": "",
}


def _again(checks: Checks, again: Checks) -> str:
    """What fresh data sets say of the smallest p of each model that was run again, and of all its other checks."""
    if not again:
        return ""
    models = dict.fromkeys(model for model, _, _ in again)
    smallest = [min((c for c in checks if c[0] == model), key=lambda check: checks[check]) for model in models]
    found = "\n".join(f"- {', '.join(check)}: {checks[check]:.2g} first, {again[check]:.2g} now;" for check in smallest)
    least = min(again, key=lambda check: again[check])
    return f"""

The {len(models)} models with the smallest p were run again on fresh data sets, of which the same rule is asked:

{found}
- smallest of all {len(again)}: {again[least]:.1e} ({", ".join(least)}), where none may be under \
{calibration_study.FAMILY / len(again):.1e}."""


def describe(found: Mapping[str, Ranks], checks: Checks, again: Checks, about: Mapping[str, str]) -> str:
    """What was done and the smallest p values, for the validation page."""
    bound, where = calibration_study.FAMILY / len(checks), min(checks, key=lambda check: checks[check])
    few = {label: np.array(ranks.effective) < N_RANKS - 1 for label, ranks in found.items()}
    return METHOD.format(
        **about,
        again_found=_again(checks, again),
        few=np.concatenate([*few.values()]).mean(),
        worst_few=max(few, key=lambda label: few[label].mean()),
        thin=round(ENGINE.draws / (N_RANKS - 1)),
        draws=ENGINE.draws,
        warmup=ENGINE.warmup,
        checks=len(checks),
        bound=bound,
        least=checks[where],
        where=", ".join(where),
        low=sum(p < 0.05 for p in checks.values()),
        expected=0.05 * len(checks),
        dispersion=min(p for (_, _, kind), p in checks.items() if kind == "dispersion"),
        noticed=sum(dispersion(ranks.narrow) < bound for ranks in found.values()),
        models=len(found),
    )
