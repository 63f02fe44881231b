"""Turning plan rows into prompts, request keys and sampling seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.design.rendering import render
from psymetric.design.study import Study
from psymetric.design.subjects import Texts
from psymetric.instruments.schema import Instrument
from psymetric.providers.base import ModelEndpoint, Prompt, request_key

__all__ = ["Requests", "object_column", "prompt_size", "request_seeds"]

# What a prompt's words depend on: rows that agree in these are sent the same messages.
_CONTENT: Final = (
    *("subject", "left_text", "right_text", "position", "persona"),
    *("template", "item", "order", "label", "replacement"),
)
_SEED_BITS: Final = 31  # the widest range that every server takes


@dataclass(frozen=True)
class Requests:
    """What is needed to write out the request of any row."""

    study: Study
    instrument: Instrument
    texts: Texts | None

    @cached_property
    def endpoints(self) -> Mapping[str, ModelEndpoint]:
        """Endpoints by name."""
        return {endpoint.name: endpoint for endpoint in self.study.endpoints}

    def prompt(self, row: Mapping[str, Any]) -> Prompt:
        """The prompt of one row, given as column: value with None where a column does not apply."""
        return self._addressed(self._worded(row), self.endpoints[row["endpoint"]], row["seed"])

    def keys(self, frame: pd.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
        """Request key and size in characters-as-tokens (see `prompt_size`) of every row; shape (rows,) each."""
        columns = [object_column(frame, name) for name in _CONTENT]
        codes = [pd.factorize(column)[0] for column in reversed(columns)]
        rows = list(zip(*columns, strict=True))
        endpoints, occasions, seeds = (object_column(frame, name).tolist() for name in ("endpoint", "occasion", "seed"))
        keys = [""] * len(frame)
        sizes = np.zeros(len(frame), dtype=np.int64)
        content, worded, size = None, None, 0
        # Rows with the same words come together, so that each wording is rendered once and none is kept.
        for i in np.lexsort(codes).tolist():
            if worded is None or rows[i] != content:
                content = rows[i]
                worded = self._worded(dict(zip(_CONTENT, content, strict=True)))
                size = prompt_size(worded)
            endpoint = self.endpoints[endpoints[i]]
            keys[i] = request_key(self._addressed(worded, endpoint, seeds[i]), endpoint, occasions[i])
            sizes[i] = size
        return keys, sizes

    def _worded(self, row: Mapping[str, Any]) -> Prompt:
        return render(
            self.instrument,
            item=row["item"],
            texts=self._row_texts(row),
            template=row["template"],
            order=row["order"],
            label=row["label"],
            position=row["position"] or "ab",
            replacement=row["replacement"],
            persona=self._personas[row["persona"]] if row["persona"] else "",
            readout=self.study.readout,
        )

    def _addressed(self, prompt: Prompt, endpoint: ModelEndpoint, seed: int) -> Prompt:
        study = self.study
        return replace(
            prompt,
            temperature=study.temperature if endpoint.temperature is None else endpoint.temperature,
            max_tokens=study.max_tokens if endpoint.max_tokens is None else endpoint.max_tokens,
            seed=int(seed),
        )

    def _row_texts(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        if self.texts is None:
            return ()
        ids = (row["subject"],) if row["left_text"] is None else (row["left_text"], row["right_text"])
        return tuple(self._texts[name] for name in ids)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return {} if self.texts is None else dict(zip(self.texts.ids, self.texts.texts, strict=True))

    @cached_property
    def _personas(self) -> Mapping[str, str]:
        return {persona.name: persona.prompt for persona in self.study.personas}


def prompt_size(prompt: Prompt) -> int:
    """Estimated prompt tokens: one per four ASCII characters, one per other character, four per message.

    Tokenizers differ; `Plan.cost` gives the interval.
    """
    total = 3
    for role, text in prompt.messages:
        plain = len(text.encode("ascii", "ignore"))
        total += 4 + (len(role) + plain) // 4 + (len(text) - plain)
    return total


def request_seeds(frame: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """A sampling seed for every row, shape (rows,), in 0..2^31 - 1.

    A seed depends on what the row asks, of whom and which time, not on its place in the plan. So a longer plan repeats
    the requests of a shorter one exactly; and no two requests share the random numbers behind their answers, as they
    would with one seed for all.
    """
    state = np.full(len(frame), np.uint64(seed % 2**64), dtype=np.uint64)
    for name in (*_CONTENT, "endpoint", "occasion"):
        codes, labels = pd.factorize(object_column(frame, name), use_na_sentinel=False)
        hashes = [hashlib.blake2b(f"{name}={label}".encode(), digest_size=8).digest() for label in labels]
        state = _mixed(state ^ np.frombuffer(b"".join(hashes), dtype=np.uint64)[codes])
    return (state >> np.uint64(64 - _SEED_BITS)).astype(np.int64)


def object_column(frame: pd.DataFrame, name: str) -> NDArray[np.object_]:
    """A column as Python objects, None where missing; shape (rows,)."""
    column = frame[name]
    values = column.to_numpy(dtype=object, copy=True)
    values[column.isna().to_numpy()] = None
    return values


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, by which every bit of the input moves every bit of the output."""
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))
