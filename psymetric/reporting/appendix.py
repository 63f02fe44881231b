"""The appendix: methods, priors, convergence, data, software, and every table to take away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from psymetric.reporting.fitted import Fitted
from psymetric.reporting.methods import Methods
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Table, Text
from psymetric.reporting.wording import numbered

__all__ = ["appendix_section"]


def appendix_section(
    parts: Sequence[Fitted], methods: Methods, *, by: str | None = None, about: Mapping[str, Any]
) -> Section:
    """Everything needed to check and repeat the analysis.

    Args:
        parts: One for every fit.
        methods: What was run.
        by: What tells the fits apart, where there are several.
        about: Facts about the study: name and value.
    """
    notes = list(dict.fromkeys(note for each in parts for note in (*each.table.notes, *each.fit.notes)))
    blocks: list[Block] = [
        Heading("Methods"),
        Text(methods.paragraphs),
        Text(methods.sources, listed=True, quiet=True),
        make_table(
            "priors",
            pd.DataFrame(methods.priors),
            _columns("parameter", "over", "prior"),
            caption="Parameters and priors",
        ),
        Heading("Convergence"),
        _convergence(parts, by),
        Heading("Data and software"),
        _facts(parts, about),
    ]
    if notes:
        blocks += [
            Heading("Notes on the data and the fit"),
            Text(tuple(plain(note, 600) for note in notes), listed=True),
        ]
    blocks += [Heading("Reproduce this page"), Text((_command_of(parts[0]),), code=True)]
    return Section("appendix", "Appendix", tuple(blocks))


def _columns(*names: str) -> list[Show]:
    return [Show(name, name, "text") for name in names]


def _convergence(parts: Sequence[Fitted], by: str | None) -> Table:
    rows: list[dict[str, Any]] = []
    for part in parts:
        fit = part.fit
        row = {} if part.label is None else {str(by): part.label}
        row |= {
            "converged": "yes" if fit.status.converged else "NO",
            "message": fit.status.message,
            "iterations": fit.status.iterations,
            "log_likelihood": fit.log_likelihood,
            "parameters": fit.n_parameters,
            "aic": fit.aic,
        }
        rows.append(row | {name.replace("_", " "): value for name, value in fit.status.details.items()})
    frame = pd.DataFrame(rows)
    frame["log_likelihood"] = frame["log_likelihood"].astype(float)
    fixed = {"converged", "message", "iterations", "log_likelihood", "parameters", "aic", by}
    shows = [
        *([Show(by, by, "label")] if by else []),
        *_columns("converged", "message"),
        Show("iterations", "evaluations", "count"),
        Show("log_likelihood", "log-likelihood", "number", digits=2),
        Show("parameters", "parameters", "count"),
        Show("aic", "AIC", "number", digits=1),
        *(Show(name, name, "text") for name in frame.columns if name not in fixed),
    ]
    shown = frame.assign(
        **{name: [f"{value:.4g}" for value in frame[name]] for name in frame.columns if name not in fixed}
    )
    return make_table("convergence", shown, shows, caption=f"How {_part_words(parts)} ended")


def _part_words(parts: Sequence[Fitted]) -> str:
    """`the fit` or `the fits`."""
    return "the fit" if len(parts) == 1 else "the fits"


def _facts(parts: Sequence[Fitted], about: Mapping[str, Any]) -> Table:
    origin = parts[0].fit.provenance
    facts = {plain(name, 60): plain(value, 300) for name, value in about.items()}
    for each in parts:
        lead = "" if each.label is None else f"{plain(each.label, 40)}: "
        sizes = ", ".join(numbered(len(labels), facet) for facet, labels in each.table.levels.items())
        facts[f"{lead}data"] = f"{each.table.n_rows:,} answers, {len(each.table.missing):,} missing; {sizes}"
        facts[f"{lead}SHA-256 of the data"] = each.fit.table_hash
    facts["fitted"] = origin.created
    facts["seed"] = "none" if origin.seed is None else str(origin.seed)
    facts["engine settings"] = ", ".join(f"{name} = {value}" for name, value in origin.settings.items()) or "defaults"
    facts |= origin.versions
    frame = pd.DataFrame({"fact": list(facts), "value": list(facts.values())})
    return make_table("provenance", frame, _columns("fact", "value"), caption="Provenance")


def _command_of(part: Fitted) -> str:
    """Python that fits and reports the same table again."""
    table = type(part.table).__name__
    settings = {name: value for name, value in part.fit.provenance.settings.items() if name not in ("engine", "model")}
    engine = ", ".join(
        f"{name}={value!r}" for name, value in settings.items() if isinstance(value, (int, float, str, bool))
    )
    return (
        "import psymetric as ps\n"
        f'table = ps.{table}.read("table.parquet")  # SHA-256 {part.fit.table_hash[:16]}…\n'
        f"model = ps.{part.fit.model!r}\n"
        f"fit = ps.fit(model, table, engine=ps.{part.fit.engine}({engine}))\n"
        f'ps.report(fit, table, level={part.level:g}).save("report.html")'
    )
