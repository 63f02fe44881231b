"""What the models of items with slopes share: no judges, and subjects from N(0, 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, final

from jax import Array
from typing_extensions import override

from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.checks import check_prior_sd, require_items, require_two_categories
from psymetric.models.population import Population, as_population

__all__ = [
    "AbstractAsymptoteModel",
    "AbstractItemModel",
    "asymptote",
    "check_scales",
    "distance",
    "locations_and_slopes",
]


@dataclass(frozen=True)
class AbstractItemModel(AbstractMeasurementModel):
    """A model of responses to items whose slopes and locations are free: subjects fix the origin and the scale.

    Args:
        population: Groups or covariates that tell subjects apart.
    """

    population: Population = field(default=Population(), kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __post_init__(self) -> None:
        object.__setattr__(self, "population", as_population(self.population))
        check_scales(self)

    @property
    @final
    @override
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    @final
    @override
    def facets(self) -> tuple[str, ...]:
        return ("item",)

    @property
    @final
    @override
    def scale(self) -> Literal["items", "subjects"]:
        return "subjects"


@dataclass(frozen=True)
class AbstractAsymptoteModel(AbstractItemModel):
    """A model of right and wrong answers that can be guessed, which a plain likelihood says little about.

    Args:
        prior_sd: Scale in logits of the normal prior on the difficulties.
        slope_prior_sd: Scale of the normal prior on the discriminations, centred at 1.
        asymptote_prior_sd: Scale of the normal prior on the logits of the asymptotes.
        chance: Centre of the prior on the guessing.
    """

    prior_sd: float = 2.0
    slope_prior_sd: float = 0.5
    asymptote_prior_sd: float = 0.5
    chance: float = 0.2

    @property
    @final
    @override
    def needs_prior(self) -> bool:
        return True

    @final
    @override
    def check(self, table: Table) -> None:
        require_two_categories(self, table, "GeneralizedPartialCredit() or GradedResponse()")
        require_items(self, table, 3)


def check_scales(model: Any) -> None:
    """Raise DesignError unless every setting of a prior's scale is a positive, finite number."""
    for setting in fields(model):
        if setting.name.endswith("prior_sd"):
            check_prior_sd(model, getattr(model, setting.name), name=setting.name)


def locations_and_slopes(prior_sd: float, slope_prior_sd: float) -> tuple[ParamSpec, ParamSpec]:
    """`item` in logits, and `discrimination` of either sign around one."""
    return (
        ParamSpec("item", ("item",), prior_sd=prior_sd),
        ParamSpec("discrimination", ("item",), centre=1.0, prior_sd=slope_prior_sd, unit="slope"),
    )


def asymptote(name: str, centre: float, prior_sd: float) -> ParamSpec:
    """A probability per item, `prior_sd` in logits around `centre` in logits."""
    return ParamSpec(name, ("item",), support="unit", centre=centre, prior_sd=prior_sd, unit="probability")


def distance(params: Mapping[str, Array], codes: Mapping[str, Array]) -> Array:
    """θ − δ of every response, shape (responses,)."""
    return params[ABILITY][codes["subject"]] - params["item"][codes["item"]]
