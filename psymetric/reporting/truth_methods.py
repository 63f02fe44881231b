"""Methods of a latent-truth fit in words, with the sources of exactly what was run."""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from psymetric.models.base import ParamSpec
from psymetric.models.truth import PREVALENCE, AbstractTruthModel
from psymetric.reporting.fitted import Fitted
from psymetric.reporting.methods import ENGINES, SOURCES, Methods, prior_words
from psymetric.reporting.truth_evidence import TruthEvidence
from psymetric.reporting.wording import noun_of, plural

__all__ = ["priors_in_words", "truth_methods"]

_MODELS: Final = {
    "DawidSkene": "each judge has a matrix of how often it gives every label when the truth is what (Dawid–Skene)",
    "HierarchicalDawidSkene": "each judge has a confusion matrix of its own, drawn around that of a typical judge, so "
    "that judges with few labels borrow from the others",
    "OneCoin": "each judge is right with some probability, and where it is wrong all wrong labels are alike (one-coin)",
    "MACE": "a judge knows the truth with some probability, and else labels by a habit of its own (MACE)",
    "GLAD": "each judge has a skill and each subject a difficulty, over which the likelihood is averaged (GLAD)",
    "OrdinalProbit": "each judge sees the true level through normal noise and cuts it at criteria of its own",
    "FamilyDawidSkene": "judges of one family see the subject alike, rightly or wrongly, and each labels what they see "
    "by a confusion matrix of its own",
}  # fmt: skip

_OWN: Final = {
    "DawidSkene": "Dawid, A. P., & Skene, A. M. (1979). Maximum likelihood estimation of observer error-rates using "
    "the EM algorithm. Applied Statistics, 28, 20–28.",
    "HierarchicalDawidSkene": "Paun, S., et al. (2018). Comparing Bayesian models of annotation. TACL, 6, 571–585.",
    "OneCoin": "Zhang, Y., Chen, X., Zhou, D., & Jordan, M. I. (2016). Spectral methods meet EM: A provably optimal "
    "algorithm for crowdsourcing. JMLR, 17(102).",
    "MACE": "Hovy, D., Berg-Kirkpatrick, T., Vaswani, A., & Hovy, E. (2013). Learning whom to trust with MACE. "
    "NAACL-HLT, 1120–1130.",
    "GLAD": "Whitehill, J., et al. (2009). Whose vote should count more: Optimal integration of labels from labelers "
    "of unknown expertise. NeurIPS 22, 2035–2043.",
    "OrdinalProbit": "DeCarlo, L. T., Kim, Y., & Johnson, M. S. (2011). A hierarchical rater model for constructed "
    "responses, with a signal detection rater model. Journal of Educational Measurement, 48, 333–356.",
    "FamilyDawidSkene": "Qu, Y., Tan, M., & Kutner, M. H. (1996). Random effects models in latent class analysis for "
    "evaluating accuracy of diagnostic tests. Biometrics, 52, 797–810.",
    "priors": "Kim, H.-C., & Ghahramani, Z. (2012). Bayesian classifier combination. AISTATS, 619–627.",
    "bits": "MacKay, D. J. C. (1992). Information-based objective functions for active data selection. Neural "
    "Computation, 4, 590–604.",
    "kappa": "Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological "
    "Measurement, 20, 37–46.",
    "dependence": "Oberski, D. L., van Kollenburg, G. H., & Vermunt, J. K. (2013). A Monte Carlo evaluation of three "
    "methods to detect local dependence in binary data latent class models. Advances in Data Analysis and "
    "Classification, 7, 267–279.",
    "wilson": "Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA, 22, "
    "209–212.",
}  # fmt: skip
_BY_SUBJECT: Final = ("MarginalML",)
"""Engines whose words and source speak of measures of subjects, which there are none of here."""


def truth_methods(evidence: TruthEvidence) -> Methods:
    """What was run, in words."""
    kind, fit = type(evidence.model).__name__, evidence.fit
    has_gold = bool((evidence.labels.known >= 0).any())
    keys = [kind, "priors" if fit.penalised and "DawidSkene" in kind else ""]
    later = [
        *(["bits", "kappa"] if evidence.is_spread_known else []),
        "dependence" if evidence.dependence is not None else "",
        "wilson" if has_gold else "",
    ]
    engine = [fit.engine if fit.engine not in _BY_SUBJECT else "", "rhat" if fit.engine == "NUTS" else ""]
    sources = [
        *(_OWN[key] for key in keys if key in _OWN),
        *(SOURCES[key] for key in engine if key in SOURCES),
        *(_OWN[key] for key in later if key in _OWN),
    ]
    paragraphs = (_model(evidence, kind, has_gold=has_gold), _engine(evidence), _truths(evidence), _judges(evidence))
    return Methods(paragraphs, tuple(dict.fromkeys(sources)), tuple(priors_in_words(evidence)))


def _model(evidence: TruthEvidence, kind: str, *, has_gold: bool) -> str:
    noun, model = evidence.noun, evidence.model
    text = (
        f"Labels were analysed as reports of a truth that nobody saw: each {noun} has one true category, and "
        f"{_MODELS.get(kind, f'labels follow the model {kind}')}. "
    )
    text += (
        "Given the truth and what else the model says they share, labels are independent."
        if evidence.dependence is None and kind in ("GLAD", "FamilyDawidSkene")
        else "Given the truth, labels are taken as independent."
    )
    if model.groups:
        text += f" Each level of {model.groups} has a prevalence of its own."
    if has_gold:
        text += f" Gold labels fix the truth of the {plural(noun)} that have them."
    return text


def _engine(evidence: TruthEvidence) -> str:
    fit = evidence.fit
    how = ENGINES.get(fit.engine, fit.engine)
    if fit.engine == "MarginalML":
        how = "maximum likelihood, with the true categories summed out"
    text = f"Parameters were estimated by {how} ({fit.engine})."
    text += " Priors are part of the estimates." if fit.penalised else " No prior was used."
    spread = "are quantiles of the draws" if fit.draws is not None else "come from the observed information"
    return f"{text} Intervals cover {evidence.level:.0%} and {spread}."


def _truths(evidence: TruthEvidence) -> str:
    how = (
        "averaged over draws of the parameters, so that what is not known of the judges is part of them"
        if evidence.is_spread_known
        else "at the estimates, which are taken as known, since the fit keeps no joint uncertainty"
    )
    return (
        f"Probabilities of the categories of a {evidence.noun} follow from its labels by Bayes' rule, {how}. Missing "
        "labels are left out, as if they were missing for no reason that has to do with the truth."
    )


def _judges(evidence: TruthEvidence) -> str:
    if not evidence.is_spread_known:
        return "Accuracies of judges are at the estimated prevalence, without intervals."
    return (
        "Accuracies of judges are at the estimated prevalence. Bits are the mutual information of a label and the "
        "truth; bits lost and gained are means over subjects, given the labels they have."
    )


def priors_in_words(evidence: Fitted) -> list[dict[str, str]]:
    """Rows of parameter, over, prior, for every parameter of a latent-truth model."""
    model = cast(AbstractTruthModel, evidence.fit.model)
    return [
        {
            "parameter": spec.name.replace("_", " "),
            "over": " × ".join(spec.axes) or "one number",
            "prior": _prior(evidence, model, spec),
        }
        for spec in model.parameters
    ]


def _prior(evidence: Fitted, model: AbstractTruthModel, spec: ParamSpec) -> str:
    if spec.support != "simplex":
        return prior_words(evidence, spec)
    if not evidence.fit.penalised:
        return "none"
    counts = np.asarray(model.prior_counts(spec.name, len(evidence.fit.categories)), float)
    total = float(counts.sum(axis=-1).flat[0])
    if spec.name == PREVALENCE:
        return f"Dirichlet, worth {total:g} {plural(noun_of(evidence.table, 'subject'))}, evenly spread"
    if counts.ndim > 1 and counts.shape[-1] == counts.shape[-2]:
        right = float(np.mean(np.diagonal(counts, axis1=-2, axis2=-1))) / total
        return f"Dirichlet, each row worth {total:g} labels, of which {right:.0%} are right"
    return f"Dirichlet, worth {total:g} labels, evenly spread"
