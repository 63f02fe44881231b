"""Methods of a simplex judge in words, with the sources of exactly what was run."""

from __future__ import annotations

from typing import Final

from psymetric.reporting.methods import ENGINES, SOURCES, Methods
from psymetric.reporting.simplex_evidence import SimplexEvidence
from psymetric.reporting.truth_methods import priors_in_words
from psymetric.reporting.wording import numbered, plural

__all__ = ["simplex_methods"]

_OWN: Final = {
    "model": "Vossler, P., Xia, F., Mai, Y., Subbaswamy, A., & Feng, J. (2025). arXiv:2505.21972.",
    "identified": "Manski, C. F. (2003). Partial Identification of Probability Distributions. Springer.",
    "items": "Allman, E. S., Matias, C., & Rhodes, J. A. (2009). Identifiability of parameters in latent structure "
    "models with many observed variables. Annals of Statistics, 37, 3099–3132.",
}  # fmt: skip
_ORDERS: Final = {
    "none": "",
    "lowest": " The lowest label becomes no likelier as the true level rises.",
    "stochastic": " Labels rise stochastically with the true level.",
}


def simplex_methods(evidence: SimplexEvidence) -> Methods:
    """What was run, in words."""
    engine = evidence.fit.engine
    keys = [engine, "rhat" if engine == "NUTS" else "", "ranks"]
    sources = [
        _OWN["model"],
        *(SOURCES[key] for key in keys if key in SOURCES),
        *([_OWN["identified"]] if evidence.identified is not None else []),
        *([_OWN["items"]] if evidence.items is not None else []),
    ]
    paragraphs = [_model(evidence), _engine(evidence)]
    if evidence.identified is not None:
        assumed = evidence.identified.assumptions.describe()
        paragraphs.append(
            "What the labels identify is the range of each mean difference over all candidates and judges that "
            f"reproduce the shares of labels, with what is assumed of judges: {assumed}."
        )
    if evidence.sensitivity is not None:
        settings = evidence.sensitivity.cells[["quality", "prior_labels", "candidate_sd", "order"]]
        tried = "; ".join(f"{name.replace('_', ' ')} {_values(settings[name].tolist())}" for name in settings.columns)
        paragraphs.append(f"Priors tried: {tried}. Other settings are those of this fit.")
    return Methods(tuple(paragraphs), tuple(sources), tuple(priors_in_words(evidence)))


def _values(values: list[object]) -> str:
    return ", ".join(str(value) if isinstance(value, str) else f"{value:g}" for value in dict.fromkeys(values))


def _model(evidence: SimplexEvidence) -> str:
    model, noun, judge = evidence.model, evidence.noun, evidence.judge
    text = (
        f"Each answer of a {noun} has one of {numbered(len(evidence.table.categories), 'true level')}, with "
        f"probabilities of that {noun}, and a {judge} labels it with probabilities that depend on the true level. Both "
        "are unknown, with Dirichlet priors (simplex judge)."
    )
    text += (
        " Only shares of labels are read, every label as one of another answer."
        if model.of_counts
        else " Labels of several judges on one answer share its true level."
    )
    if model.strata:
        text += f" Levels of {model.strata} have probabilities of their own; means weigh them by their labels."
    if model.candidate_sd:
        text += f" {plural(judge).capitalize()} may treat {plural(noun)} unlike (sd {model.candidate_sd:g} logits)."
    if model.self_preference:
        text += f" A {judge} may favour its own family ({model.self_preference})."
    return text + _ORDERS[model.order]


def _engine(evidence: SimplexEvidence) -> str:
    engine = evidence.fit.engine
    return (
        f"The posterior was drawn by {ENGINES.get(engine, engine)} ({engine}). Means of the levels take the scores "
        f"{', '.join(f'{value:g}' for value in evidence.values)}. Intervals cover {evidence.level:.0%} and are "
        "quantiles of the draws; ranks and probabilities of order count draws."
    )
