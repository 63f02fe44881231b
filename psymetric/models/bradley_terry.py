"""Bradley-Terry model: which of two was preferred, and what sways that: ties, position, judges, covariates, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Literal, final, get_args

from jax import Array
from typing_extensions import override

from psymetric.core.parameters import Block
from psymetric.data.coding import SIDES
from psymetric.errors import DataError, DesignError
from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.pair_checks import check_pairs
from psymetric.models.space import explained_blocks
from psymetric.models.tie_rules import Link, TieRule, outcome_log_probs

__all__ = ["BradleyTerry"]

_COMMON = "common"
_FIRST_THRESHOLD, _THRESHOLD_PRIOR_SD = 0.5, 1.0
"""Where the search for Rao and Kupper's threshold starts: equals then tie in a quarter of their comparisons. The prior
is on its log."""


@final
@dataclass(frozen=True)
class BradleyTerry(AbstractMeasurementModel):
    r"""Bradley-Terry model: the odds of being preferred are those of the worths, with what else sways a comparison.

    $$F^{-1}\, P(i \succ j) = a_c\,(\lambda_i - \lambda_j) + x'\beta + \alpha_c$$

    for i on the left (shown first) and without ties; `outcome_log_probs` has the rules for ties. Parameters:

    * `worth` λ, shape (items,), centred: higher wins more often. In logits; with `link="probit"` in sds of the
      difference of two discriminal processes, Thurstone's unit for his Case V (times √2: in sds of one process);
    * `position` α, a scalar, or shape (levels,) of a facet: positive where being first helps;
    * `tie`: log ν under "davidson"; under "rao_kupper" the threshold η > 0, which an advantage must pass for a win
      (Rao & Kupper's ln θ); a scalar or shape (levels,);
    * `<facet>_slope` a > 0 of geometric mean one: how strongly a judge's choices follow the worths;
    * `worth_weight` w: with `covariates` Z the worths are $\lambda = Z w$, plus a residual from N(0, sd²) where items
      are random (`worth_sd`); logits per unit of the covariate;
    * `<family>` effects from N(0, `<family>_sd`²), about which the members' worths are spread with `worth_sd`;
    * `<name>_weight` β of each contest covariate x, in logits per unit of what left has more than right;
    * `item:<occasion>` by `drift`, shape (items, occasions): departures of an item from its mean over occasions.

    `JointML` is plain maximum likelihood, which needs a strongly connected win graph unless covariates explain the
    worths; where items are random, they are integrated out by Laplace's method, their sds as in `MarginalML`.

    Args:
        ties: None (a table with ties is then an error), "davidson", or "rao_kupper" (with the probit link: Glenn &
            David's threshold). Ties as half wins: `PairTable.ties_as_half_wins`.
        position: None, "common" (or True), or the facet whose levels have their own, such as "judge".
        link: "logit", or "probit" for Thurstone's Case V.
        tie_owner: "common", or the facet whose levels own their readiness to tie.
        slopes: Facets whose levels differ in discrimination, such as ("judge",). Worth differences alone are
            multiplied: what sways a judge besides the items is not sharpened by being a good judge.
        covariates: Attributes of the items (`PairTable.from_frame(items=)`) that explain their worths: numbers as they
            are, labels as indicators.
        family: Attribute of the items whose levels share a part of their worth.
        contest: Columns of numbers that belong to a comparison: the left item's value less the right one's, such as a
            difference in length.
        drift: How worths move over occasions, {"item:occasion": "walk"} or "linear", as in `ManyFacetRasch`.
        random: ("item",) takes the worths, or what covariates leave of them, for draws from N(0, sd²).
        prior_sd: Scale in logits of the normal priors under MAP, Laplace, NUTS and SVI.
        slope_prior_sd: Scale of the normal prior on the logs of the slopes.

    Raises:
        DesignError: A rule for ties that the link does not have, or settings that contradict one another.

    Source: Bradley & Terry (1952), Biometrika 39, 324-345; Thurstone (1927), Psychological Review 34, 273-286;
    Davidson (1970), JASA 65, 317-328, eq. 2.5; Davidson & Beaver (1977), Biometrics 33, 693-702; Rao & Kupper (1967),
    JASA 62, 194-204; Glenn & David (1960), Biometrics 16, 86-109; Springall (1973), Applied Statistics 22, 59-68
    (covariates).
    """

    ties: TieRule | None = None
    position: str | bool | None = None
    link: Link = "logit"
    tie_owner: str = _COMMON
    slopes: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    family: str | None = None
    contest: tuple[str, ...] = ()
    drift: Mapping[str, Literal["walk", "linear"]] = field(
        default_factory=dict[str, Literal["walk", "linear"]], hash=False
    )
    random: tuple[str, ...] = ()
    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5

    def __post_init__(self) -> None:
        for name in ("slopes", "covariates", "contest", "random"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if isinstance(self.position, bool):
            object.__setattr__(self, "position", _COMMON if self.position else None)
        check_prior_sd(self, self.prior_sd)
        check_prior_sd(self, self.slope_prior_sd, name="slope_prior_sd")
        self._check_settings()

    def _check_settings(self) -> None:
        for setting, kind in (("ties", TieRule), ("link", Link)):
            value, known = getattr(self, setting), [*get_args(kind)]
            if value not in known and not (setting == "ties" and value is None):
                none = "None or " if setting == "ties" else ""
                raise DataError(f"BradleyTerry({setting}={value!r}) is not known: use {none}one of {known}")
        if self.ties == "davidson" and self.link == "probit":
            raise DesignError(
                'BradleyTerry(ties="davidson", link="probit"): Davidson\'s rule rests on Luce\'s choice axiom, which '
                'holds for the logit alone; use ties="rao_kupper" (with the probit: Glenn & David\'s threshold)'
            )
        if self.ties is None and self.tie_owner != _COMMON:
            raise DesignError(f'BradleyTerry(tie_owner={self.tie_owner!r}) needs a rule for ties: ties="davidson"')
        if unknown := set(self.random) - {"item", *self.drift}:
            raise DesignError(f"BradleyTerry(random=...) names {sorted(unknown)}; it takes 'item' and pairs in drift=")
        for pair, course in self.drift.items():
            item, _, occasion = pair.partition(":")
            if item != "item" or not occasion or course not in ("walk", "linear"):
                raise DesignError(
                    f'BradleyTerry(drift={{{pair!r}: {course!r}}}) must name the items and a facet, and "walk" or '
                    '"linear", as in {"item:occasion": "walk"}'
                )
        named = [*self.covariates, *self.contest, *((self.family,) if self.family else ())]
        if twice := {name for name in named if named.count(name) > 1}:
            raise DesignError(f"BradleyTerry: {sorted(twice)} can have one part in covariates=, family= and contest=")

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "pairs"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        owners = (owner for owner in (self.position, self.tie_owner) if isinstance(owner, str) and owner != _COMMON)
        occasions = (pair.partition(":")[2] for pair in self.drift)
        return tuple(dict.fromkeys((*SIDES, *owners, *self.slopes, *self.contest, *occasions)))

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return tuple(self._specs())

    def _specs(self) -> Iterator[ParamSpec]:
        sd, unit = self.prior_sd, self.link
        if self.family:
            yield ParamSpec(
                self.family, (self.family,), identification="sum_to_zero", prior_sd=sd, random=True, unit=unit
            )
        yield ParamSpec(
            "worth",
            ("item",),
            identification="sum_to_zero",
            prior_sd=sd,
            random="item" in self.random or self.family is not None,
            covariates=self.covariates,
            unit=unit,
        )
        for pair, course in self.drift.items():
            random = course == "walk" or pair in self.random
            axes = ("item", pair.partition(":")[2])
            yield ParamSpec(
                pair, axes, identification="sum_to_zero", prior_sd=sd, random=random, course=course, unit=unit
            )
        for name in self.contest:
            yield ParamSpec(name, (name,), prior_sd=sd, covariates=(name,), unit=unit)
        if self.position:
            yield ParamSpec("position", _axes(self.position), prior_sd=sd, unit=unit)
        if self.ties == "davidson":
            yield ParamSpec("tie", _axes(self.tie_owner), prior_sd=sd, unit=unit)
        elif self.ties:
            start, spread = log(_FIRST_THRESHOLD), _THRESHOLD_PRIOR_SD
            yield ParamSpec("tie", _axes(self.tie_owner), support="positive", centre=start, prior_sd=spread, unit=unit)
        for facet in self.slopes:
            yield ParamSpec(
                f"{facet}_slope",
                (facet,),
                support="positive",
                identification="sum_to_zero",
                prior_sd=self.slope_prior_sd,
                unit="slope",
            )

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.name != "worth" or self.family is None:
            return None
        return explained_blocks(spec, table, group=self.family)

    @override
    def n_outcomes(self, n_categories: int) -> int:
        return 3 if self.ties else 2

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        left, right = (self._strength(params, codes, side) for side in SIDES)
        gap = left - right
        for facet in self.slopes:
            gap = params[f"{facet}_slope"][codes[facet]] * gap
        for name in self.contest:
            gap = gap + params[name][codes[name]]
        position = _of_owner(params["position"], codes, self.position) if self.position else 0.0
        tie = _of_owner(params["tie"], codes, self.tie_owner) if self.ties else 0.0
        return outcome_log_probs(gap, position, tie, ties=self.ties, link=self.link)

    def _strength(self, params: Mapping[str, Array], codes: Mapping[str, Array], side: str) -> Array:
        """Worth of the items on one side on the occasion of the comparison, shape (rows,)."""
        worth = params["worth"][codes[side]]
        for pair in self.drift:
            worth = worth + params[pair][codes[side], codes[pair.partition(":")[2]]]
        return worth

    @override
    def check(self, table: Table) -> None:
        owners = [("position", self.position), ("tie_owner", self.tie_owner), *(("slopes", f) for f in self.slopes)]
        check_pairs(
            table,
            ties=self.ties,
            owners=tuple((setting, str(owner)) for setting, owner in owners if owner not in (None, _COMMON)),
            attributes=(*self.covariates, *((self.family,) if self.family else ())),
            family=self.family,
            contest=self.contest,
        )


def _axes(owner: str | bool | None) -> tuple[str, ...]:
    return (owner,) if isinstance(owner, str) and owner != _COMMON else ()


def _of_owner(value: Array, codes: Mapping[str, Array], owner: str | bool | None) -> Array:
    """A parameter that is common, or that each row's level of a facet owns."""
    axes = _axes(owner)
    return value[codes[axes[0]]] if axes else value
