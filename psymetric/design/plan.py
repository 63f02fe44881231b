"""The plan: one row per request, made from a study before anything is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import pandas as pd

from psymetric.core.provenance import Provenance
from psymetric.design.assembly import assemble
from psymetric.design.expectation import CostEstimate, count_levels, estimate_cost, expected_errors
from psymetric.design.plan_file import read_plan_file, write_plan_file
from psymetric.design.requests import Requests, object_column
from psymetric.design.settings import TextSource
from psymetric.design.study import Study
from psymetric.design.subjects import Texts, read_texts
from psymetric.errors import StudyError
from psymetric.instruments.library import instrument_from_dict, load_instrument
from psymetric.instruments.schema import Instrument
from psymetric.providers.base import ModelEndpoint, Prompt, request_key

__all__ = ["Plan", "plan"]

_NOT_SHOWN: Final = 12


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Every request of a study, in the order in which they are to be asked.

    Attributes:
        frame: One row per request. `key` (request key), `instrument`, `kind`, `item`, `trait`, `subject`, `model`,
            `persona`, `judge`, `endpoint` (who is asked), `template`, `order`, `label`, `replacement`, `position`,
            `left`, `right` (what is compared), `left_text`, `right_text` (ids of the texts shown), `group`, `occasion`,
            `language`, `readout`, `seed`, `tokens` (estimated prompt tokens). Columns that do not apply are missing.
        study: What it was made from.
        instrument: The instrument, in full.
        texts: The judged texts, in full; None for an inventory.
        seed: Seed of the design.
        notes: What the design gave up, and what a reader should know.
        provenance: Versions and time.
    """

    frame: pd.DataFrame
    study: Study
    instrument: Instrument
    texts: Texts | None
    seed: int
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(source=""))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def n_rows(self) -> int:
        """Number of requests."""
        return len(self.frame)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the request keys in order."""
        return hashlib.sha256("\n".join(self.frame["key"]).encode()).hexdigest()

    def prompt(self, i: int) -> Prompt:
        """What is sent for row `i`."""
        return self._requests.prompt(self._row(i))

    def endpoint(self, i: int) -> ModelEndpoint:
        """Whom row `i` is sent to."""
        return self._requests.endpoints[self._columns["endpoint"][i]]

    def summary(self) -> pd.DataFrame:
        """Requests for every level of every facet: `facet`, `level`, `rows`."""
        return count_levels(self.frame)

    def cost(self) -> CostEstimate:
        """Tokens and cost as intervals, with the assumptions behind them."""
        return estimate_cost(self.frame, self._requests.endpoints, self.study.max_tokens)

    def expected_se(self) -> pd.DataFrame:
        """Expected standard error in logits of each subject or compared text (see `expectation.expected_errors`)."""
        return expected_errors(self.frame, self.instrument.response.n_categories)

    def write(self, path: str | Path) -> Path:
        """Write the plan, with study, instrument and texts, as one Parquet file.

        Raises:
            StoreError: The file cannot be written.
        """
        record = {
            "study": self.study.to_dict(),
            "source": Path(self.study.source).name,
            "instrument": self.instrument.model_dump(mode="json", by_alias=True),
            "texts": None if self.texts is None else self.texts.to_dict(),
            "seed": self.seed,
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }
        return write_plan_file(path, self.frame, record)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` wrote.

        Raises:
            StudyError: No such file, not a plan, or rows that no longer give the requests they were planned as.
        """
        frame, record = read_plan_file(path)
        found = cls(
            frame=frame,
            study=Study.from_dict(record["study"], folder=Path(path).parent, source=record["source"]),
            instrument=instrument_from_dict(record["instrument"], source=f"{path} (instrument)"),
            texts=None if record["texts"] is None else Texts.from_dict(record["texts"]),
            seed=int(record["seed"]),
            notes=tuple(record["notes"]),
            provenance=Provenance.from_dict(record["provenance"]),
        )
        for i in sorted({0, len(frame) // 2, len(frame) - 1}) if len(frame) else ():
            key = request_key(found.prompt(i), found.endpoint(i), found._columns["occasion"][i])
            if key != found._columns["key"][i]:
                raise StudyError(f"{path}: row {i} no longer gives the request it was planned as; plan again")
        return found

    def __repr__(self) -> str:
        facets = ", ".join(f"{n} {facet}" for facet, n in self._level_counts().items())
        return f"Plan({self.study.study!r}, {self.instrument.name}, {self.n_rows:,} requests: {facets})"

    def _repr_html_(self) -> str:
        head = self.frame.drop(columns=["key"]).dropna(axis="columns", how="all").head(_NOT_SHOWN)
        return f"<p>{len(self):,} requests</p>{head.to_html(index=False, escape=True)}"

    def _level_counts(self) -> dict[str, int]:
        return {str(facet): len(group) for facet, group in self.summary().groupby("facet", sort=False)}

    @cached_property
    def _requests(self) -> Requests:
        return Requests(self.study, self.instrument, self.texts)

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {name: object_column(self.frame, name) for name in self.frame.columns}

    def _row(self, i: int) -> dict[str, Any]:
        return {name: values[i] for name, values in self._columns.items()}


def plan(study: Study, *, seed: int = 0) -> Plan:
    """Plan every request of a study: balanced, linked, in an order fixed by the seed.

    Nothing is asked. The same study and seed give the same plan; a fractional design with more calls contains the one
    with fewer, and adding judges, templates or occasions to a full design keeps the requests that it had, so that
    nothing that a store already holds is asked again.

    Args:
        study: From `Study.from_yaml`.
        seed: Seed of the design and, through it, of the sampling seeds.

    Returns:
        The plan. Its rows are shuffled so that an interrupted run has asked about all subjects almost equally often.

    Raises:
        StudyError: The study does not suit its instrument, or names something that does not exist.
        DesignError: The design is empty or too large, or could not compare what it measures (the subsets are named).
    """
    instrument = load_instrument(study.instrument, folder=study.folder)
    texts = read_texts(study.subjects, folder=study.folder) if isinstance(study.subjects, TextSource) else None
    frame, notes = assemble(study, instrument, texts, seed)
    requests = Requests(study, instrument, texts)
    keys, tokens = requests.keys(frame)
    frame = pd.concat([pd.DataFrame({"key": pd.array(keys, dtype="str")}), frame.assign(tokens=tokens)], axis="columns")
    provenance = Provenance(
        source=study.hash,
        settings={"instrument": f"{instrument.name} {instrument.version}", "texts": texts.hash if texts else None},
        seed=seed,
    )
    return Plan(frame, study, instrument, texts, seed, notes, provenance)
