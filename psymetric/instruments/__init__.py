"""Instruments: what is asked, in which words, and how the answers are keyed."""

from __future__ import annotations

from psymetric.instruments.library import list_instruments, list_texts, load_instrument
from psymetric.instruments.schema import (
    Criterion,
    Instrument,
    Inventory,
    Item,
    PairResponse,
    PairTask,
    ResponseFormat,
    Rubric,
    Template,
)
from psymetric.instruments.scoring import recode

__all__ = [
    "Criterion",
    "Instrument",
    "Inventory",
    "Item",
    "PairResponse",
    "PairTask",
    "ResponseFormat",
    "Rubric",
    "Template",
    "list_instruments",
    "list_texts",
    "load_instrument",
    "recode",
]
