"""Methods in words, with the sources of exactly what was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final, final

from psymetric.data.rankings import RankingTable
from psymetric.models.base import ParamSpec
from psymetric.models.best_worst import BestWorst
from psymetric.models.plackett_luce import PlackettLuce
from psymetric.reporting.evidence import Evidence, Part
from psymetric.reporting.fitted import Fitted
from psymetric.reporting.key_figures import facet_words
from psymetric.reporting.rounding import joined
from psymetric.reporting.wording import noun_of, numbered, plural

__all__ = ["ENGINES", "SOURCES", "Methods", "methods_of", "prior_words"]

SOURCES: Final = {
    "ManyFacetRasch": "Linacre, J. M. (1989). Many-Facet Rasch Measurement. MESA Press.",
    "Multidimensional": "Adams, R. J., Wilson, M., & Wang, W. (1997). The multidimensional random coefficients "
    "multinomial logit model. Applied Psychological Measurement, 21, 1–23.",
    "RaschTestlet": "Wang, W., & Wilson, M. (2005). The Rasch testlet model. Applied Psychological Measurement, 29, "
    "126–149.",
    "HierarchicalRater": "DeCarlo, L. T., Kim, Y., & Johnson, M. S. (2011). A hierarchical rater model for constructed "
    "responses, with a signal detection rater model. Journal of Educational Measurement, 48, 333–356.",
    "PlackettLuce": "Plackett, R. L. (1975). The analysis of permutations. Applied Statistics, 24, 193–202.",
    "Luce": "Luce, R. D. (1959). Individual Choice Behavior. Wiley.",
    "davidson-luce": "Turner, H. L., van Etten, J., Firth, D., & Kosmidis, I. (2020). Modelling rankings in R: the "
    "PlackettLuce package. Computational Statistics, 35, 1027–1057.",
    "BestWorst": "Marley, A. A. J., & Louviere, J. J. (2005). Some probabilistic models of best, worst, and best–worst "
    "choices. Journal of Mathematical Psychology, 49, 464–480.",
    "several": "Adams, R. J., & Wu, M. L. (2007). The mixed-coefficients multinomial logit model. In Multivariate and "
    "Mixture Distribution Rasch Models, 57–75. Springer.",
    "Rasch": "Rasch, G. (1960). Probabilistic Models for Some Intelligence and Attainment Tests. Danish Institute for "
    "Educational Research.",
    "BradleyTerry": "Bradley, R. A., & Terry, M. E. (1952). Rank analysis of incomplete block designs: I. "
    "Biometrika, 39, 324–345.",
    "common": "Andrich, D. (1978). A rating formulation for ordered response categories. Psychometrika, 43, 561–573.",
    "owned": "Masters, G. N. (1982). A Rasch model for partial credit scoring. Psychometrika, 47, 149–174.",
    "davidson": "Davidson, R. R. (1970). On extending the Bradley–Terry model to accommodate ties. JASA, 65, 317–328.",
    "rao_kupper": "Rao, P. V., & Kupper, L. L. (1967). Ties in paired-comparison experiments: A generalization of the "
    "Bradley–Terry model. JASA, 62, 194–204.",
    "position": "Davidson, R. R., & Beaver, R. J. (1977). On extending the Bradley–Terry model to incorporate "
    "within-pair order effects. Biometrics, 33, 693–702.",
    "MarginalML": "Bock, R. D., & Aitkin, M. (1981). Marginal maximum likelihood estimation of item parameters. "
    "Psychometrika, 46, 443–459.",
    "ConditionalML": "Andersen, E. B. (1972). The numerical solution of a set of conditional estimation equations. "
    "JRSS B, 34, 42–54.",
    "JointML": "Wright, B. D., & Masters, G. N. (1982). Rating Scale Analysis. MESA Press.",
    "MAP": "Mislevy, R. J. (1986). Bayes modal estimation in item response models. Psychometrika, 51, 177–195.",
    "Laplace": "Tierney, L., & Kadane, J. B. (1986). Accurate approximations for posterior moments and marginal "
    "densities. JASA, 81, 82–86.",
    "NUTS": "Hoffman, M. D., & Gelman, A. (2014). The No-U-Turn sampler. JMLR, 15, 1593–1623.",
    "PyMCNUTS": "Abril-Pla, O., et al. (2023). PyMC: a modern, and comprehensive probabilistic programming framework "
    "in Python. PeerJ Computer Science, 9, e1516.",
    "SVI": "Kucukelbir, A., et al. (2017). Automatic differentiation variational inference. JMLR, 18(14), 1–45.",
    "rhat": "Vehtari, A., et al. (2021). Rank-normalization, folding, and localization: an improved R-hat. Bayesian "
    "Analysis, 16, 667–718.",
    "eap": "Bock, R. D., & Mislevy, R. J. (1982). Adaptive EAP estimation of ability. Applied Psychological "
    "Measurement, 6, 431–444.",
    "sum_eap": "Thissen, D., Pommerich, M., Billeaud, K., & Williams, V. S. L. (1995). Item response theory for scores "
    "on tests including polytomous items with ordered responses. Applied Psychological Measurement, 19, 39–49.",
    "map": "Samejima, F. (1969). Estimation of latent ability using a response pattern of graded scores. "
    "Psychometrika Monograph 17.",
    "wle": "Warm, T. A. (1989). Weighted likelihood estimation of ability in item response theory. Psychometrika, "
    "54, 427–450.",
    "plausible": "Mislevy, R. J. (1991). Randomization-based inference about latent variables from complex samples. "
    "Psychometrika, 56, 177–196.",
    "fit": "Wright, B. D., & Masters, G. N. (1982). Rating Scale Analysis. MESA Press (infit, outfit, separation, "
    "strata).",
    "ranks": "Goldstein, H., & Spiegelhalter, D. J. (1996). League tables and their limitations. JRSS A, 159, 385–443.",
}

ENGINES: Final = {
    "MarginalML": "marginal maximum likelihood, with the subjects integrated out over a normal population",
    "ConditionalML": "conditional maximum likelihood given each subject's sum of responses",
    "JointML": "maximum likelihood of all parameters together",
    "MAP": "the mode of the posterior",
    "Laplace": "a normal approximation at the mode of the posterior",
    "NUTS": "Hamiltonian Monte Carlo (No-U-Turn sampler)",
    "PyMCNUTS": "Hamiltonian Monte Carlo (No-U-Turn sampler of PyMC), subjects sampled with all else",
    "SVI": "variational inference (a Gaussian close to the posterior, an approximation)",
}

_SCORES = {
    "eap": "expected a posteriori estimates, which are drawn towards the population mean, the more so the fewer the "
    "answers",
    "sum_eap": "expected a posteriori estimates given the sum of the answers, which are drawn towards the population "
    "mean",
    "map": "posterior modes, which are drawn towards the population mean",
    "ml": "maximum likelihood estimates",
    "wle": "weighted likelihood estimates, which correct the bias of maximum likelihood",
    "plausible": "plausible values",
}

_LINKS = {
    "logit": "the Bradley–Terry model: the logit",
    "probit": "Thurstone's model (Case V): the probit",
}
_TIES = {
    "davidson": " Ties follow Davidson's extension.",
    "rao_kupper": " An advantage below a threshold, which is estimated, is a tie (Rao & Kupper).",
}


@final
@dataclass(frozen=True)
class Methods:
    """Paragraphs, the sources they rest on in the order of mention, and every parameter with its scale and prior."""

    paragraphs: tuple[str, ...]
    sources: tuple[str, ...]
    priors: tuple[Mapping[str, str], ...]


def methods_of(evidence: Evidence) -> Methods:
    """What was run, in words; parts share one description because they share model and engine."""
    part = evidence.first
    paragraphs = [_model(part), _engine(part), _scores(part), _comparison(part)]
    if len(evidence.wholes) > 1:
        paragraphs.insert(0, f"Each of {numbered(len(evidence.wholes), str(evidence.by))} was fitted by itself.")
    sources = dict.fromkeys(SOURCES[key] for key in _keys(part) if key in SOURCES)
    return Methods(tuple(paragraphs), tuple(sources), _priors(part))


def _keys(part: Part) -> list[str]:
    model, engine = part.fit.model, part.fit.engine
    keys = [type(model).__name__]
    if isinstance(model, PlackettLuce):
        keys += ["Luce", "davidson-luce" if model.ties else ""]
    elif isinstance(model, BestWorst):
        keys += []
    elif part.is_pairs:
        keys += [str(getattr(model, "ties", None)), "position" if "position" in part.fit.parameters else ""]
    elif len(part.fit.categories) > 2:
        keys.append("common" if _steps_of(part) == "common" else "owned")
    keys += [
        engine,
        "rhat" if engine in ("NUTS", "PyMCNUTS") else "",
        part.scores.method if part.scores else "",
        "ranks",
    ]
    return [*keys, "" if part.is_of_items else "fit", "several" if part.is_composite else ""]


def _model(part: Part) -> str:
    model = part.fit.model
    if isinstance(part.table, RankingTable):
        return _rankings(part)
    if part.is_pairs:
        text = (
            f"Comparisons were analysed with {_LINKS[getattr(model, 'link', 'logit')]} of preferring one item to "
            "another is the difference of their worths."
        )
        if slopes := getattr(model, "slopes", ()):
            owners = joined(noun_of(part.table, facet) for facet in slopes)
            text += f" It is multiplied by a discrimination of each {owners}."
        if "position" in part.fit.parameters:
            text += " A constant is added for the item shown first."
        return text + _TIES.get(str(getattr(model, "ties", None)), "")
    if part.has_ideal:
        return _ideal_model(part)
    facets = joined(noun_of(part.table, facet) for facet in part.facets)
    name = "many-facet Rasch model" if type(model).__name__ == "ManyFacetRasch" else f"{type(model).__name__} model"
    text = f"Answers were analysed with a {name}: the logit of a category against the one below is {_position(part)}"
    text += (
        f", less the effects of {facets}, less the step into the category."
        if facets
        else ", less the step into the category."
    )
    if len(part.fit.categories) > 2:
        steps = _steps_of(part)
        text += (
            " All share one set of steps (rating scale)."
            if steps == "common"
            else f" Each {noun_of(part.table, steps)} has steps of its own (partial credit)."
        )
    inter = [facet_words(part, spec.name) for spec in model.parameters if ":" in spec.name]
    random = [facet_words(part, spec.name) for spec in model.parameters if spec.random and spec.name != "ability"]
    anchored = [facet_words(part, spec.name) for spec in model.parameters if spec.anchors]
    text += f" Joint departures were estimated for {joined(inter)}." if inter else ""
    text += f" The levels of {joined(random)} count as drawn from a normal distribution." if random else ""
    text += f" Levels of {joined(anchored)} are anchored at known values." if anchored else ""
    return text + " Facets sum to zero unless anchored; everything is in logits."


def _rankings(part: Part) -> str:
    """The model of whole rankings, or of choices of the best and the worst."""
    model = part.fit.model
    if isinstance(model, BestWorst):
        process = (
            "the two are chosen together, as the pair furthest apart"
            if model.process == "maxdiff"
            else "the best is chosen first, the worst from the rest"
        )
        text = f"Choices of the best and the worst of a set were analysed by the worths of its items: {process}."
        return f"{text} Worst choices have a scale of their own." if model.worst_scale == "free" else text
    text = (
        "Rankings were analysed with the Plackett–Luce model: the best of all shown is chosen, then the best of the "
        "rest, each with odds that are the exponentials of the worths."
    )
    if getattr(model, "ties", None):
        text += " Items that tie are chosen as a set, with a readiness for each size of tie."
    if getattr(model, "slopes", None):
        text += " Worths are multiplied by a discrimination of each judge."
    if (pseudo := getattr(model, "pseudo", None)) is not None:
        text += f" Every item also wins and loses {pseudo:g} comparisons with a ghost item."
    return text


def _steps_of(part: Part) -> str:
    """The facet that owns the steps, or "common"."""
    spec = next((spec for spec in part.fit.model.parameters if "step" in spec.axes), None)
    return spec.axes[0] if spec is not None and len(spec.axes) > 1 else "common"


def _position(part: Part) -> str:
    subject, item = noun_of(part.table, "subject"), noun_of(part.table, "item")
    if part.dimension is not None:
        slopes = ", each times its slope" if part.fit.model.scale == "subjects" else ""
        return f"the sum of the {subject}'s measures on the dimensions that the {item} measures{slopes}"
    if part.hangs_together:
        within = noun_of(part.table, part.hangs_together)
        return f"the measure of the {subject}, plus what it has under that {within} alone"
    return f"the measure of the {subject}"


def _ideal_model(part: Part) -> str:
    subject, item = noun_of(part.table, "subject"), noun_of(part.table, "item")
    return (
        f"Answers were analysed with a hierarchical rater model: each {subject} deserves an ideal category under each "
        f"{item}, which follows a partial credit model of its measure and the {item} in logits; the logit that a judge "
        "reports a category or a higher one is the judge's precision times the distance of the ideal category from the "
        "judge's criterion, in categories. Severity is by how much a judge's criteria lie too high on average."
    )


def _engine(part: Part) -> str:
    how = ENGINES.get(part.fit.engine, part.fit.engine)
    text = f"Parameters were estimated by {how} ({part.fit.engine})."
    text += " Priors are part of the estimates." if part.fit.penalised else " No prior was placed on fixed parameters."
    if part.fit.draws is None:
        text += f" Standard errors come from {_errors(part)}."
    return text


def _errors(part: Part) -> str:
    robust = part.fit.provenance.settings.get("robust_errors")
    if robust is None:
        return "the observed information"
    cluster = robust["cluster"]
    return "the sandwich of Huber and White" + ("" if cluster is None else f", clustered by {cluster}")


def _scores(part: Part) -> str:
    if part.scores is None:
        return f"Intervals cover {part.level:.0%}. Measures of the {plural(noun_of(part.table, 'item'))} sum to zero."
    method = _SCORES.get(part.scores.method, part.scores.method)
    return (
        f"Measures are {method}. Intervals cover {part.scores.level:.0%}. The errors hold "
        f"{part.scores.carries[0].lower()}{part.scores.carries[1:]}"
    )


def _comparison(part: Part) -> str:
    return (
        f"Probabilities that one measure lies above another are {part.comparisons.basis}. Each comparison stands by "
        "itself: nothing is adjusted for their number. Rank intervals and rank probabilities rank draws from the same "
        "uncertainty."
    )


def _priors(part: Part) -> tuple[Mapping[str, str], ...]:
    """Rows of parameter, over, prior."""
    return tuple(
        {
            "parameter": facet_words(part, spec.name),
            "over": " × ".join(spec.axes) or "one number",
            "prior": prior_words(part, spec),
        }
        for spec in part.fit.model.parameters
    )


def prior_words(part: Fitted, spec: ParamSpec) -> str:
    """The prior of a parameter, by its scale."""
    if spec.anchors:
        return "anchored"
    if spec.name == "ability":
        return "none" if part.fit.engine == "JointML" else "normal, mean and sd estimated"
    if spec.random:
        return "normal around 0, sd estimated"
    rule = ", sums to zero" if spec.identification == "sum_to_zero" else ""
    if not isfinite(spec.prior_sd):
        return f"none{rule}"
    at = f"around {spec.centre:g}, " if spec.centre else ""
    scale = {"positive": " of the log", "unit": " of the logit"}.get(spec.support, " logits")
    return f"normal, {at}sd {spec.prior_sd:g}{scale}{rule}" if part.fit.penalised else f"none{rule}"
