"""The parts of a study file: where texts come from, the facets, the design, the model, the engine, the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from psymetric.instruments.yaml_files import nearest

if TYPE_CHECKING:
    from psymetric.models.base import AbstractMeasurementModel

__all__ = ["Budget", "DesignSettings", "EngineSettings", "Facets", "ModelSettings", "Orders", "Persona", "TextSource"]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
Scalar = str | int | float | bool | None


class Settings(BaseModel):
    """Base of all study parts: unknown fields are errors, values are fixed, and errors never repeat what was given."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class TextSource(Settings):
    """Texts to be judged, from a JSON-lines, CSV or Parquet file, or a built-in set by name.

    Attributes:
        from_: File (relative to the study file) or name of a built-in set. Written `from` in YAML.
        id: Column that names a text.
        text: Column that holds it.
        system: Pair tasks: column naming what is compared, such as the model that wrote the text; each text stands for
            itself if None.
        group: Pair tasks: column within which texts are compared, such as the question they answer; all are compared
            with all if None.
    """

    from_: str = Field(alias="from", min_length=1)
    id: str = "id"
    text: str = "text"
    system: str | None = None
    group: str | None = None


class Persona(Settings):
    """A system text under which a model answers an inventory; an empty one is the model as it comes."""

    name: str = Field(min_length=1)
    prompt: str = ""


class Orders(Settings):
    """Which option orders are used: a family (`order: cyclic`), a list of orders, or `{random: m}`."""

    family: str | None = None
    names: tuple[str, ...] | None = Field(default=None, min_length=1)
    random: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: object) -> object:
        if isinstance(value, str):
            return {"family": value}
        return {"names": value} if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(part is not None for part in (self.family, self.names, self.random)) != 1:
            raise ValueError("order takes a family such as cyclic, a list of orders, or {random: m}")
        return self


class Facets(Settings):
    """What is varied besides subject, item and judge.

    Attributes:
        template: Names of wordings, or "all"; the instrument's first if None.
        order: Option orders.
        label: Names of label sets, or "all" (every set that the readout can tell apart).
        occasion: Number of times each request is repeated.
        replacement: Inventories: names of what {subject} stands for, or "all"; the instrument's first if None.
        position: Pair tasks: "both", "ab" (left text first) or "ba".
    """

    template: Names | None = None
    order: Orders = Orders(family="original")
    label: Names = ("letters",)
    occasion: int = Field(default=1, ge=1, le=1000)
    replacement: Names | None = None
    position: Names = ("both",)


class DesignSettings(Settings):
    """How much of the full crossing is asked.

    Attributes:
        kind: "full" (everything), "fractional" (`calls` requests, balanced), or "linked" (each subject gets
            `judges_per_subject` judges in a chain, everything else crossed).
        calls: Number of requests of a fractional design.
        judges_per_subject: Number of judges of each subject in a linked design.
    """

    kind: Literal["full", "fractional", "linked"] = "full"
    calls: int | None = Field(default=None, ge=1)
    judges_per_subject: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _own_numbers_only(self) -> Self:
        needed = {"full": None, "fractional": "calls", "linked": "judges_per_subject"}[self.kind]
        for field in ("calls", "judges_per_subject"):
            given = getattr(self, field) is not None
            if field == needed and not given:
                raise ValueError(f"a {self.kind} design needs {field}")
            if field != needed and given:
                raise ValueError(f"a {self.kind} design takes no {field}")
        return self


def _with_settings(value: object) -> object:
    """`name`, or `{kind: name, setting: value, …}`, as kind and settings."""
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, Mapping):
        given: dict[str, Any] = {str(k): v for k, v in value.items()}
        inner = given.pop("settings", {})
        kind = {"kind": given.pop("kind")} if "kind" in given else {}
        return {**kind, "settings": {**inner, **given}} if isinstance(inner, Mapping) else value
    return value


def _models() -> dict[str, Any]:
    # Imported when a study names a model: models bring JAX, which most studies can be planned without.
    from psymetric.models.discovery import model_names

    return model_names()


class ModelSettings(Settings):
    """The measurement model by name, with its settings: `rasch`, or `{kind: many_facet_rasch, steps: item}`.

    Every model in `psymetric.models` is known by the snake_case of its class name; settings mean what they mean there.
    """

    kind: str
    settings: Mapping[str, Any] = Field(default_factory=dict)

    _from_name = model_validator(mode="before")(_with_settings)

    @model_validator(mode="after")
    def _own_settings_only(self) -> Self:
        models = _models()
        if self.kind not in models:
            raise ValueError(f"no model {self.kind!r}; {nearest(self.kind, tuple(models))}")
        valid = [field.name for field in fields(models[self.kind])]
        for name in self.settings:
            if name not in valid:
                raise ValueError(f"model {self.kind} has no setting {name!r}; {nearest(name, tuple(valid))}")
        return self

    @property
    def facets(self) -> tuple[str, ...] | None:
        """The facets that the study names, or None."""
        given = self.settings.get("facets")
        return (given,) if isinstance(given, str) else None if given is None else tuple(given)

    def build(self, facets: tuple[str, ...]) -> AbstractMeasurementModel:
        """The model; `facets` is used where the model takes facets and the study names none.

        Raises:
            DataError, DesignError: A setting has a value that the model refuses.
        """
        from psymetric.models.discovery import get_model

        model = _models()[self.kind]
        default = {"facets": facets} if "facets" in {field.name for field in fields(model)} else {}
        return get_model(model.__name__, default | dict(self.settings))


class EngineSettings(Settings):
    """The engine by name, with its settings: `nuts`, or `{kind: nuts, draws: 1000}`."""

    kind: Literal["marginal_ml", "conditional_ml", "joint_ml", "map", "laplace", "nuts", "svi", "pymc_nuts"]
    settings: Mapping[str, Scalar] = Field(default_factory=dict)

    _from_name = model_validator(mode="before")(_with_settings)


class Budget(Settings):
    """Hard caps; what is left None is not capped. `cost` is in the currency of the endpoints' prices."""

    calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    cost: float | None = Field(default=None, gt=0, allow_inf_nan=False)
