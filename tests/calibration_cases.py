"""The models that NUTS is calibrated on, each with the smallest design that tells its parameters apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

import psymetric as ps
from psymetric.models.base import AbstractMeasurementModel

Observed = Literal["order", "best two", "order with ties", "best and worst"]


@dataclass(frozen=True, eq=False)
class Design:
    """A model, and a complete design for it.

    Attributes:
        model: Its priors are narrow enough for small tables to use all categories.
        sizes: Levels by facet, subjects first; for pairs and rankings, items first, then facets of a comparison.
        n_categories: Number of categories.
        columns: Facet that a further column describes, and what it says of each of its levels.
        observed: What a ranking of each set tells; sets are all of `set_size` items, each shown `times` times to every
            judge.
        nodes: Nodes of the subjects' grid. Engines choose it by the data; here it is the finest that tables of this
            size ask for, so that the sampler is compiled once.
        latent_nodes: Nodes of a second latent variable.
        n: Data sets.
    """

    model: AbstractMeasurementModel
    sizes: Mapping[str, int]
    n_categories: int = 2
    columns: Mapping[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    nodes: int = 121
    latent_nodes: int = 31
    observed: Observed = "order"
    set_size: int = 3
    times: int = 3
    n: int = 100


Population, Facets = ps.Population, ps.ManyFacetRasch
_ITEMS = {"subject": 12, "item": 4}
_MORE_ITEMS = {"subject": 15, "item": 4}
_JUDGED = {"subject": 10, "item": 3, "judge": 3}
_OCCASIONS = {"subject": 8, "judge": 3, "occasion": 3}
_TIMES = {"occasion": ("occasion", np.array([0.0, 1.0, 3.0]))}
_GROUP = {"group": ("subject", np.arange(12) % 2)}
_ABOUT_SUBJECTS = {"age": ("subject", np.arange(12) % 5 / 2.0), "kind": ("subject", np.arange(12) % 2)}
_ABOUT_ITEMS = {"length": ("item", np.array([1.0, 2.0, 4.0, 4.5]))}
_WORTHS = {"item": 4}
_KEY = {"A": (0, 1, 2), "B": (2, 3, 4)}


def _judged(**settings: object) -> Facets:
    return Facets(**({"random": (), "prior_sd": 1.0} | settings))


DESIGNS = {
    "Rasch": Design(ps.Rasch(prior_sd=1.0), _ITEMS),
    "Rasch, groups": Design(ps.Rasch(prior_sd=1.0, population=Population(groups="group")), _ITEMS, 2, _GROUP, 161),
    "Rasch, latent regression": Design(
        ps.Rasch(prior_sd=1.0, population=Population(covariates=("age", "kind"), prior_sd=1.0)),
        _ITEMS, 2, _ABOUT_SUBJECTS, 161,
    ),
    "2PL": Design(ps.TwoPL(prior_sd=1.0), _MORE_ITEMS, nodes=61),
    "2PL, groups": Design(ps.TwoPL(prior_sd=1.0, population=Population(groups="group")), _ITEMS, 2, _GROUP, 161),
    "3PL": Design(ps.ThreePL(prior_sd=1.0), _MORE_ITEMS, nodes=61),
    "4PL": Design(ps.FourPL(prior_sd=1.0), _MORE_ITEMS, nodes=61),
    "partial credit": Design(Facets(("item",), "item", random=(), prior_sd=1.0), _ITEMS, 3),
    "generalised partial credit": Design(ps.GeneralizedPartialCredit(prior_sd=1.0), _MORE_ITEMS, 3, nodes=61),
    "graded response": Design(ps.GradedResponse(prior_sd=1.0), _MORE_ITEMS, 3, nodes=61),
    "nominal response": Design(ps.NominalResponse(prior_sd=1.0), _MORE_ITEMS, 3, nodes=61),
    "many-facet": Design(_judged(), _JUDGED, 3),
    "many-facet, random judges": Design(_judged(random=("judge",)), _JUDGED, 3),
    "many-facet, an anchored judge": Design(_judged(anchors={"judge": {0: 0.4}}), _JUDGED, 3),
    "many-facet, slopes": Design(_judged(slopes=("item", "judge")), _JUDGED, 3),
    "many-facet, interaction": Design(_judged(interactions=(("judge", "item"),)), _JUDGED, 3),
    "many-facet, random interaction": Design(
        _judged(interactions=(("judge", "item"),), random=("judge:item",)), _JUDGED, 3
    ),
    "many-facet, items explained in full": Design(
        Facets(("item",), random=(), covariates={"item": ("length",)}, prior_sd=1.0), _ITEMS, 3, _ABOUT_ITEMS
    ),
    "many-facet, items explained in part": Design(
        Facets(("item",), random=("item",), covariates={"item": ("length",)}, prior_sd=1.0), _ITEMS, 3, _ABOUT_ITEMS
    ),
    "many-facet, judges in a random walk": Design(
        Facets(("judge", "occasion"), random=(), drift={"judge:occasion": "walk"}, prior_sd=1.0),
        _OCCASIONS, 3, _TIMES,
    ),
    "many-facet, linear drift of judges": Design(
        Facets(("judge", "occasion"), random=(), drift={"judge:occasion": "linear"}, prior_sd=0.5),
        _OCCASIONS, 3, _TIMES,
    ),
    "two dimensions, slopes of one": Design(
        ps.Multidimensional(_KEY, prior_sd=1.0), {"subject": 7, "item": 5}, nodes=17, n=50
    ),
    "two dimensions, free slopes": Design(
        ps.Multidimensional(_KEY, discrimination="free", prior_sd=1.0), {"subject": 7, "item": 5}, nodes=17, n=50
    ),
    "testlet": Design(
        ps.RaschTestlet(_judged(), halo_prior_sd=1.0), {"subject": 6, "item": 3, "judge": 2},
        nodes=61, latent_nodes=17, n=50,
    ),
    "hierarchical rater": Design(
        ps.HierarchicalRater(steps="common", prior_sd=1.0), {"subject": 10, "item": 3, "judge": 2}, 3, nodes=61, n=50
    ),
    "Bradley-Terry": Design(ps.BradleyTerry(position=True), _WORTHS),
    "Bradley-Terry, ties": Design(ps.BradleyTerry(ties="davidson", position=True), _WORTHS, 3),
}  # fmt: skip

Pairs, Rankings = ps.BradleyTerry, ps.PlackettLuce
_JUDGED_PAIRS = {"item": 4, "judge": 3}
_LENGTHS = {"length": ("item", np.array([1.0, 2.0, 4.0, 4.5]))}
_MEMBERS = {"maker": ("item", np.array([0, 0, 1, 1, 2, 2]))}


def _pairs(**settings: object) -> Pairs:
    return Pairs(**({"prior_sd": 1.0} | settings))


COMPARISONS = {
    "Bradley-Terry, slopes and ties": Design(_pairs(ties="davidson", slopes=("judge",)), _JUDGED_PAIRS, 3),
    "Plackett-Luce": Design(Rankings(prior_sd=1.0), _WORTHS),
    "best-worst": Design(ps.BestWorst(prior_sd=1.0), _WORTHS, observed="best and worst"),
    "Bradley-Terry, random worths": Design(_pairs(random=("item",)), {"item": 6}),
    "Bradley-Terry, families": Design(_pairs(family="maker"), {"item": 6}, 2, _MEMBERS),
    "Bradley-Terry, contest covariate": Design(
        _pairs(contest=("gap",)), {"item": 4, "gap": 3}, 2, {"gap": ("gap", np.array([-1.0, 0.5, 2.0]))}
    ),
    "Bradley-Terry, worths in a random walk": Design(
        _pairs(drift={"item:occasion": "walk"}), {"item": 4, "occasion": 3}, 2, _TIMES
    ),
    "Bradley-Terry, ties of judges": Design(_pairs(ties="davidson", tie_owner="judge"), _JUDGED_PAIRS, 3),
    "Bradley-Terry, positions of judges": Design(_pairs(position="judge"), _JUDGED_PAIRS),
    "Bradley-Terry, Rao and Kupper's ties": Design(_pairs(ties="rao_kupper", position=True), _JUDGED_PAIRS, 3),
    "Bradley-Terry, probit": Design(_pairs(link="probit"), _JUDGED_PAIRS),
    "Bradley-Terry, items explained in full": Design(_pairs(covariates=("length",)), _WORTHS, 2, _LENGTHS),
    "Bradley-Terry, items explained in part": Design(
        _pairs(covariates=("length",), random=("item",)), _WORTHS, 2, _LENGTHS
    ),
    "Plackett-Luce, the best two of four": Design(
        Rankings(prior_sd=1.0), _WORTHS, observed="best two", set_size=4, times=8
    ),
    "Plackett-Luce, ties": Design(
        Rankings(ties="davidson-luce", prior_sd=1.0, tie_prior_sd=1.0), _WORTHS, observed="order with ties"
    ),
    "Plackett-Luce, wins and losses against a ghost": Design(Rankings(pseudo=2.0), _WORTHS),
    "Plackett-Luce, slopes": Design(Rankings(slopes="judge", prior_sd=1.0), _JUDGED_PAIRS),
    "best-worst in sequence, a scale of the worst": Design(
        ps.BestWorst("sequential", "free", prior_sd=1.0), _WORTHS, observed="best and worst"
    ),
    "Bradley-Terry, linear drift": Design(
        _pairs(drift={"item:occasion": "linear"}, prior_sd=0.5), {"item": 4, "occasion": 3}, 2, _TIMES
    ),
    "judge mixture, two classes": Design(ps.JudgeMixture(_pairs(position=True)), {"item": 5, "judge": 12}),
    "judge mixture, two classes, ties": Design(
        ps.JudgeMixture(_pairs(ties="davidson")), {"item": 4, "judge": 12}, 3
    ),
    # So few that chains exchange the classes in about half of their draws, which they seldom do in larger tables.
    "judge mixture, few votes": Design(ps.JudgeMixture(_pairs(position=True)), {"item": 3, "judge": 12}),
    "judge mixture, three classes": Design(ps.JudgeMixture(_pairs(), classes=3), {"item": 4, "judge": 12}),
    "Bradley-Terry, probit with ties": Design(_pairs(link="probit", ties="rao_kupper"), _JUDGED_PAIRS, 3),
}  # fmt: skip
"""Models of comparisons and rankings, those that matter most first."""
