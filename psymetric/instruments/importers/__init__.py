"""Votes and ratings that other programs stored, read into tables: one format per file."""

from __future__ import annotations

from psymetric.instruments.importers.alpaca_eval import read_alpaca_eval
from psymetric.instruments.importers.arena import ARENA_FACETS, read_arena
from psymetric.instruments.importers.council import read_council
from psymetric.instruments.importers.llmbar import read_llmbar
from psymetric.instruments.importers.mt_bench import read_mt_bench, read_mt_bench_scores

__all__ = [
    "ARENA_FACETS",
    "read_alpaca_eval",
    "read_arena",
    "read_council",
    "read_llmbar",
    "read_mt_bench",
    "read_mt_bench_scores",
]
