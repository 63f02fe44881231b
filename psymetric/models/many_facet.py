"""Many-facet Rasch model: ordered categories, any number of facets, steps common or owned by a facet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, final

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from psymetric.data.coding import Label
from psymetric.errors import DesignError
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec
from psymetric.models.checks import check_prior_sd
from psymetric.models.formula import read_formula
from psymetric.models.population import Population, as_population

__all__ = ["ManyFacetRasch"]


@final
@dataclass(frozen=True)
class ManyFacetRasch(AbstractMeasurementModel):
    r"""Many-facet Rasch model (Linacre, 1989), with rating-scale or partial-credit steps.

    $$\log \frac{P(X=k)}{P(X=k-1)} = \theta_s - \sum_f \gamma_f - \sum_{f,g} \beta_{fg} - \tau_{h,k}$$

    Higher difficulty or severity makes a high category less likely. All parameters are in logits:

    * `ability` θ, shape (subjects,): free under `JointML`, normal with estimated mean and sd elsewhere;
    * one array γ per facet, shape (levels,), centred unless the facet is anchored;
    * `step` τ, shape (groups, categories - 1), one group when common; each group sums to zero, which makes γ the
      location of its scale;
    * one array β per interaction, shape (levels, levels), both margins summing to zero;
    * one array per facet in `covariates`, `<facet>_weight` w, shape (terms,), in logits per unit: $\gamma = Z w$, plus
      a residual from N(0, sd²) where the facet is random (explanatory difficulty; without one, the LLTM);
    * one array per pair in `drift`, shape (levels, occasions): departures of each level from its mean over occasions,
      of all levels from their common course;
    * one array `<facet>_slope` a > 0 per facet in `slopes`, of geometric mean one: the right side above is multiplied
      by the slopes of the levels met (generalised many-facet Rasch model). A judge's slope is its consistency.

    The origin is fixed by the centring (or the anchors) and the scale by the unit slope, or the slopes' mean.

    Args:
        facets: Columns of the table that move the response, besides the subject.
        steps: "common" for one rating scale (Andrich, 1978), or the facet whose levels own their steps (partial credit:
            Masters, 1982).
        random: Facets, or interactions written "judge:item", whose levels are draws from N(0, sd²) with sd estimated.
            None leaves it to the engine: judges and templates are random where the posterior is sampled, and no facet
            is elsewhere (see `psymetric.fit`). `()` makes every facet fixed.
        anchors: Levels fixed at known values: {facet: {level: logits}}.
        interactions: Pairs of facets whose joint departures are estimated.
        slopes: Facets whose levels differ in discrimination.
        covariates: Columns that explain the levels of a facet, {"item": ("length", "topic")}: numbers as they are,
            labels as indicators.
        drift: How levels move over occasions, {"judge:occasion": "walk"}: in a random walk whose steps have an
            estimated sd per root unit of time, or "linear", each at its own rate. Occasions are timed by their labels
            where these are numbers, else they count as equally spaced.
        prior_sd: Scale in logits of the normal prior on facets, steps and interactions under MAP, Laplace and NUTS.
        slope_prior_sd: Scale of the normal prior on the logs of the slopes, centred at 0.
        population: Groups or covariates that tell subjects apart.

    Raises:
        DesignError: A setting names a facet that is not in `facets`.

    Source: Linacre (1989), Many-Facet Rasch Measurement, eq. 4; Andrich (1978), Psychometrika 43, 561-573; Masters
    (1982), Psychometrika 47, 149-174; Uto & Ueno (2020), Behaviormetrika 47, 469-496, for the slopes.
    """

    facets: tuple[str, ...] = ("item", "judge")  # pyright: ignore[reportIncompatibleMethodOverride]
    steps: str = "common"
    random: tuple[str, ...] | None = None
    anchors: Mapping[str, Mapping[Label, float]] = field(default_factory=dict[str, Mapping[Label, float]], hash=False)
    interactions: tuple[tuple[str, str], ...] = ()
    slopes: tuple[str, ...] = ()
    covariates: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)
    drift: Mapping[str, Literal["walk", "linear"]] = field(
        default_factory=dict[str, Literal["walk", "linear"]], hash=False
    )
    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5
    population: Population = field(default=Population(), kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __post_init__(self) -> None:
        object.__setattr__(self, "population", as_population(self.population))
        for name in ("facets", "random", "slopes"):
            value = getattr(self, name)
            if value is None:
                continue
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        object.__setattr__(self, "interactions", tuple((a, b) for a, b in self.interactions))
        columns = {
            name: (given,) if isinstance(given, str) else tuple(given) for name, given in self.covariates.items()
        }
        object.__setattr__(self, "covariates", columns)
        self._check_names()
        check_prior_sd(self, self.prior_sd)
        check_prior_sd(self, self.slope_prior_sd, name="slope_prior_sd")

    @classmethod
    def from_formula(
        cls,
        formula: str,
        *,
        anchors: Mapping[str, Mapping[Label, float]] | None = None,
        prior_sd: float = prior_sd,
        slope_prior_sd: float = slope_prior_sd,
        population: Population | None = None,
    ) -> Self:
        """The model that a line of terms describes, such as `"item + judge + (1 | template) + step(item)"`.

        | term | setting |
        |---|---|
        | `judge` | the facet |
        | `(1 | judge)` | the facet, random; where no term is random, `random=None` |
        | `judge:item` | their interaction; `judge*item` is the two facets as well, `(1 | judge:item)` the random one |
        | `step(item)` | `steps="item"`; TAM's `item:step` and `item*step` do as well, and `step` is the common ones |
        | `slope(judge)` | `slopes=("judge",)` |
        | `item(length + topic)` | the facet with these `covariates`; with `(1 | item)` beside it, a random residual |
        | `walk(judge:occasion)`, `linear(judge:occasion)` | `drift` |

        A leading `~` is allowed, and names that are no words stand in backquotes. The response and the subject are
        the table's and have no term.

        Args:
            formula: Terms joined by `+`.
            anchors: As in `ManyFacetRasch`, like the other settings that no term says.
            prior_sd: Prior scale of facets, steps and interactions in logits.
            slope_prior_sd: Prior scale of the logs of the slopes.
            population: Groups or covariates that tell subjects apart.

        Raises:
            DesignError: A term cannot be read, contradicts another, or names a facet that has no term of its own; the
                message marks it. Or one of the other settings is refused.
        """
        terms = read_formula(formula)
        return cls(
            facets=terms.facets,
            steps=terms.steps,
            random=terms.random,
            anchors=anchors or {},
            interactions=terms.interactions,
            slopes=terms.slopes,
            covariates=terms.covariates,
            drift=terms.drift,
            prior_sd=prior_sd,
            slope_prior_sd=slope_prior_sd,
            population=population or Population(),
        )

    def _check_names(self) -> None:
        pairs = {f"{a}:{b}" for a, b in self.interactions}
        known, drifting = set(self.facets), {facet for pair in self.drift for facet in pair.split(":")}
        if len(known) != len(self.facets) or "subject" in known:
            raise DesignError(f"ManyFacetRasch(facets={self.facets}) must list each facet once and leave out 'subject'")
        named = {
            "steps": {self.steps} - {"common"} - known,
            "random": set(self.random or ()) - known - pairs - set(self.drift),
            "anchors": set(self.anchors) - known,
            "slopes": set(self.slopes) - known,
            "covariates": set(self.covariates) - known,
            "drift": drifting - known,
            "interactions": {facet for pair in self.interactions for facet in pair} - known,
        }
        for setting, unknown in named.items():
            if unknown:
                raise DesignError(
                    f"ManyFacetRasch({setting}=...) names {sorted(unknown)}, not among its facets {list(self.facets)}"
                )
        if any(a == b for a, b in self.interactions):
            raise DesignError("ManyFacetRasch(interactions=...) must pair two different facets")
        for pair, course in self.drift.items():
            if len(set(pair.split(":"))) != 2 or pair in pairs or course not in ("walk", "linear"):
                raise DesignError(
                    f"ManyFacetRasch(drift={{{pair!r}: {course!r}}}) must name two facets, no interaction as well, and "
                    '"walk" or "linear", as in {"judge:occasion": "walk"}'
                )
        self._check_apart()

    def _check_apart(self) -> None:
        for what, one, other in (
            ("random and anchored", set(self.random or ()), set(self.anchors)),
            ("anchored and explained by covariates", set(self.anchors), set(self.covariates)),
        ):
            if both := one & other:
                raise DesignError(f"ManyFacetRasch: facet {sorted(both)} cannot be both {what}")

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        steps = ("step",) if self.steps == "common" else (self.steps, "step")
        random = self.random or ()
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            *(
                ParamSpec(
                    facet,
                    (facet,),
                    identification="sum_to_zero",
                    prior_sd=self.prior_sd,
                    random=facet in random,
                    anchors=tuple(self.anchors.get(facet, {}).items()),
                    covariates=self.covariates.get(facet, ()),
                )
                for facet in self.facets
            ),
            *self._terms(),
            *(
                ParamSpec(
                    f"{facet}_slope",
                    (facet,),
                    support="positive",
                    identification="sum_to_zero",
                    prior_sd=self.slope_prior_sd,
                    unit="slope",
                )
                for facet in self.slopes
            ),
            ParamSpec("step", steps, identification="sum_to_zero", prior_sd=self.prior_sd),
        )

    def _terms(self) -> tuple[ParamSpec, ...]:
        """Interactions and drift: departures that belong to two facets."""
        pairs: dict[str, Literal["", "walk", "linear"]] = {f"{a}:{b}": "" for a, b in self.interactions}
        return tuple(
            ParamSpec(
                pair,
                tuple(pair.split(":")),
                identification="sum_to_zero",
                prior_sd=self.prior_sd,
                random=pair in (self.random or ()) or course == "walk",
                course=course,
            )
            for pair, course in (pairs | dict(self.drift)).items()
        )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        location = params[ABILITY][codes["subject"]]
        for facet in self.facets:
            location = location - params[facet][codes[facet]]
        for term in self._terms():
            a, b = term.axes
            location = location - params[term.name][codes[a], codes[b]]
        steps = params["step"] if self.steps == "common" else params["step"][codes[self.steps]]
        logits = location[:, None] - steps
        for facet in self.slopes:
            logits = params[f"{facet}_slope"][codes[facet]][:, None] * logits
        return jax.nn.log_softmax(jnp.pad(jnp.cumsum(logits, axis=1), ((0, 0), (1, 0))), axis=1)
