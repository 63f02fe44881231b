"""A study: one readable file that says who is measured, by what, under which wordings, and how it is analysed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Discriminator, Field, PrivateAttr, Tag, field_validator, model_validator

from psymetric.design.credentials import find_credential
from psymetric.design.settings import (
    Budget,
    DesignSettings,
    EngineSettings,
    Facets,
    ModelSettings,
    Persona,
    Settings,
    TextSource,
)
from psymetric.instruments.yaml_files import Document, parse_yaml, read_yaml, validate
from psymetric.providers.base import ModelEndpoint, Readout, canonical_json

__all__ = ["Study"]


def _branch(value: object) -> str:
    return "<texts>" if isinstance(value, (Mapping, BaseModel)) else "<models>"


Subjects = Annotated[
    Annotated[TextSource, Tag("<texts>")] | Annotated[tuple[ModelEndpoint, ...], Tag("<models>"), Field(min_length=1)],
    Discriminator(_branch),
]


class Study(Settings):
    """A study file, checked as far as it can be without the instrument; `plan` checks the rest.

    Attributes:
        study: Its name.
        instrument: Name of a built-in instrument, or path of a YAML file relative to the study file.
        subjects: Models that answer an inventory, or the source of the texts that judges rate or compare.
        personas: Inventories: system texts under each of which every model answers.
        judges: Models that rate or compare the texts.
        facets: What is varied.
        design: How much of the full crossing is asked.
        readout: "sampled" reads the answer's text, "logprob" the distribution of its first token.
        temperature: Sampling temperature where an endpoint sets none.
        max_tokens: Cap on an answer's tokens where an endpoint sets none.
        model: Measurement model; the analysis chooses by the instrument's kind if None.
        engine: Estimation engine; the model's recommended one if None.
        budget: Hard caps.
        notes: Anything for the reader.
    """

    study: str = Field(min_length=1, max_length=200)
    instrument: str = Field(min_length=1)
    subjects: Subjects
    personas: tuple[Persona, ...] = ()
    judges: tuple[ModelEndpoint, ...] = ()
    facets: Facets = Facets()
    design: DesignSettings = DesignSettings()
    readout: Readout = "sampled"
    temperature: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    max_tokens: int = Field(default=16, ge=1)
    model: ModelSettings | None = None
    engine: EngineSettings | None = None
    budget: Budget = Budget()
    notes: str = ""

    _source: str = PrivateAttr(default="study")
    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _no_credentials(cls, value: object) -> object:
        path = find_credential(value)
        if path is not None:
            raise ValueError(
                f"{path}: this looks like an API key, and a study never holds one; put the key in an environment "
                f"variable and name the variable in key_env (if the key is real and the file was shared, revoke it)"
            )
        return value

    @field_validator("judges", "personas")
    @classmethod
    def _distinct(cls, value: tuple[ModelEndpoint | Persona, ...]) -> tuple[ModelEndpoint | Persona, ...]:
        return _distinct_names(value)

    @field_validator("subjects")
    @classmethod
    def _distinct_models(cls, value: Subjects) -> Subjects:
        if not isinstance(value, TextSource):
            _distinct_names(value)
        return value

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a study file.

        Raises:
            StudyError: The file cannot be read, is malformed (line and column), has an unknown or missing field (with
                the nearest valid one), a value out of range, or what looks like an API key.
        """
        return cls._from_document(read_yaml(path), Path(path).parent)

    @classmethod
    def from_text(cls, text: str, *, folder: str | Path = ".") -> Self:
        """A study from YAML text; paths in it are relative to `folder`.

        Raises:
            StudyError: As for `from_yaml`.
        """
        return cls._from_document(parse_yaml(text, source="study"), Path(folder))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, folder: str | Path = ".", source: str = "study") -> Self:
        """A study from plain data, as `to_dict` gave it; paths in it are relative to `folder`, errors call it `source`.

        Raises:
            StudyError: As for `from_yaml`.
        """
        return cls._from_document(Document(dict(data), source), Path(folder))

    @classmethod
    def _from_document(cls, document: Document, folder: Path) -> Self:
        study = validate(cls, document)
        study._source, study._folder = document.source, folder
        return study

    @property
    def source(self) -> str:
        """What errors call this study: the path it was read from."""
        return self._source

    @property
    def folder(self) -> Path:
        """What its paths are relative to."""
        return self._folder

    @property
    def endpoints(self) -> tuple[ModelEndpoint, ...]:
        """The models that are asked: the judges, or the subjects of an inventory."""
        return self.judges if isinstance(self.subjects, TextSource) else self.subjects

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the study's content, defaults included; not of the files it names."""
        return hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a study file would write it."""
        return self.model_dump(mode="json", by_alias=True)


def _distinct_names(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [name for name, count in Counter(value.name for value in values).items() if count > 1]
    if repeated:
        raise ValueError(f"the name {repeated[0]!r} is used more than once")
    return values
