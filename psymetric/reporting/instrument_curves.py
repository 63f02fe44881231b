"""The instrument along the scale: where it measures, whether items behave as modelled, and what they share."""

from __future__ import annotations

import numpy as np

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.characteristic_curves import CharacteristicCurves, characteristic_curves
from psymetric.diagnostics.components import residual_components
from psymetric.diagnostics.information_curves import InformationCurves, information_curves
from psymetric.diagnostics.local_dependence import residual_correlations
from psymetric.errors import DataError
from psymetric.plots.characteristic import draw_characteristic, panels_of
from psymetric.plots.components import draw_components
from psymetric.plots.dependence import draw_dependence
from psymetric.plots.information import bands_of, draw_information
from psymetric.reporting.evidence import Part
from psymetric.reporting.latent_variables import left_out
from psymetric.reporting.rounding import plain, rounded, two_digits
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Figure, Heading, draw
from psymetric.reporting.wording import noun_of, numbered, plural

__all__ = ["information_blocks", "item_blocks"]

_MOST_CELLS, _MOST_ROWS, _MOST_ITEMS = 20_000, 50_000, 300
"""Sizes beyond which these figures would take longer than the rest of the page."""
_MOST_SIMULATED, _SIMULATIONS = 10_000, 50
_EVERY = 10
"""Of the curve's abilities the table shows one in so many."""
_PAIRS, _CURVES, _COMPONENTS = 8, 2, 6


def information_blocks(part: Part, table: ResponseTable, number: int) -> list[Block]:
    """Information and standard error of what the mean subject was asked."""
    if part.is_composite:
        return [left_out("Information along the scale is", part)]
    facets = part.fit.model.facets
    if min(int(np.prod([len(table.levels[facet]) for facet in facets])), table.n_rows) > _MOST_CELLS:
        return []
    found = information_curves(part.fit, table=table)
    noun = noun_of(table, found.facet)
    bands = bands_of(found)
    figure = draw(
        lambda width: draw_information(found.curve, bands, width=width, axis="measure, logits"),
        name=f"information-{number}",
        title=f"Information by {noun}, and standard error, along the scale",
        reading=_information_words(found, table),
    )
    shows = [
        Show("theta", "measure", "number", "Logits", digits=1),
        Show("information", "information", "number", "Per squared logit, of what the mean subject was asked"),
        Show("se", "SE", "number", "Logits, of a measure from these answers alone"),
        Show("reliability", "reliability", "number", "Share of the population's variance that is not error there"),
    ]
    suffix = "" if part.label is None else f"-{number}"
    thinned = found.curve.iloc[::_EVERY].reset_index(drop=True)
    name = f"information{suffix}"
    return [
        Heading("Where it measures"),
        figure,
        make_table(name, thinned, shows, caption="Precision along the scale"),
    ]


def _information_words(found: InformationCurves, table: ResponseTable) -> str:
    best = found.curve.iloc[int(found.curve["information"].to_numpy().argmax())]
    text = (
        f"What the mean {noun_of(table, 'subject')} was asked measures best around {rounded(best['theta'], 0.4)} "
        f"logits, with a standard error of {rounded(best['se'], 0.04)}"
    )
    if np.isfinite(found.marginal_reliability):
        text += f"; over the population its reliability is {two_digits(found.marginal_reliability)}"
    top = found.peaks.sort_values("share", ascending=False, kind="stable").iloc[0]
    if len(found.peaks) > 1:
        label = plain(top["level"], 40)
        text += f". The {noun_of(table, found.facet)} that says most is {label}, {top['share']:.0%} of all"
    return f"{text}."


def item_blocks(part: Part, table: ResponseTable, number: int) -> list[Block]:
    """Characteristic curves, residual correlations and residual components of the items."""
    fit = part.fit
    if "item" not in fit.model.facets or table.n_rows > _MOST_ROWS or len(table.levels["item"]) > _MOST_ITEMS:
        return []
    if part.is_composite:
        return [left_out("Observed answers along the measure are", part), *_dependence(part, table, number)]
    found = characteristic_curves(fit, table, facet="item")
    suffix = "" if part.label is None else f"-{number}"
    shows = [
        Show("level", noun_of(table, "item"), "label"),
        Show("group", "group", "count", "Of subjects, from low to high"),
        Show("theta", "measure", "number", "Mean of the group, logits"),
        Show("n", "answers", "number", "Spread over groups where the measure is uncertain", digits=0),
        Show("observed", "observed", "number", "Mean answer"),
        Show("expected", "expected", "number", "What the model expects of the same answers"),
        Show("z", "z", "number", "Observed minus expected, over its standard error", digits=1),
    ]
    caption = "Observed and expected answers by group"
    return [
        Heading("Observed and expected answers"),
        _characteristic(part, found, number),
        make_table(f"characteristic{suffix}", found.observed, shows, caption=caption, most=12, both_ends=False),
        *_dependence(part, table, number),
        *_dimensions(part, table, number),
    ]


def _characteristic(part: Part, found: CharacteristicCurves, number: int) -> Figure:
    panels = panels_of(found, level=part.level, most=_CURVES)
    noun, count = noun_of(part.table, "item"), found.curves["level"].nunique()
    missed = int(sum(panel.missed.sum() for panel in panels))
    text = (
        f"Expected answers along the measure, with the means of six groups of "
        f"{plural(noun_of(part.table, 'subject'))} and their {part.level:.0%} intervals"
    )
    text += "; open dots miss the curve." if missed else "; every curve passes through all of its intervals."
    if len(panels) - 1 < count and count > 1:
        text += f" Of {numbered(count, noun)}, the {len(panels) - 1} furthest from their curve are shown."
    return draw(
        lambda width: draw_characteristic(
            panels, scale=found.scale, width=width, axis="expected answer along the measure, logits"
        ),
        name=f"characteristic-{number}",
        title=f"Characteristic curves of {numbered(count, noun)}",
        reading=text,
    )


def _dependence(part: Part, table: ResponseTable, number: int) -> list[Block]:
    """Correlations of residuals between items; nothing below four items, or where none shares subjects."""
    # Residuals of three items correlate about −.5 whatever they measure.
    if len(table.levels["item"]) < 4:
        return []
    try:
        frame = residual_correlations(part.fit, table, facet="item")
    except DataError:
        return []
    noun = noun_of(table, "item")
    tied = frame[frame["flag"].str.startswith("dependent")]
    pairs = [f"{plain(a, 30)} and {plain(b, 30)}" for a, b in zip(tied["first"][:3], tied["second"][:3], strict=True)]
    text = (
        f"{'; '.join(pairs)}{' and others' if len(tied) > 3 else ''} share more than the measure explains: they count "
        "partly twice."
        if pairs
        else f"No two {plural(noun)} share more than the measure explains."
    )
    shows = [
        Show("first", noun, "label"),
        Show("second", f"other {noun}", "label"),
        Show("subjects", "shared", "count", "Subjects that met both"),
        Show("q3_corrected", "Q3 above mean", "number", "Correlation of residuals, less the mean of all pairs"),
        Show("se", "SE", "number"),
        Show("flag", "flag", "flag"),
    ]
    suffix = "" if part.label is None else f"-{number}"
    caption = f"Residual correlations of {plural(noun)}, the highest first"
    return [
        Heading("Dependence"),
        draw(
            lambda width: draw_dependence(frame, list(table.levels["item"]), width=width),
            name=f"dependence-{number}",
            title=f"Residual correlations of {plural(noun)}",
            reading=text,
        ),
        make_table(f"dependence{suffix}", frame, shows, caption=caption, most=_PAIRS, both_ends=False),
    ]


def _dimensions(part: Part, table: ResponseTable, number: int) -> list[Block]:
    """Components of residuals beside those of simulated tables; nothing where a table is too large to simulate."""
    if len(table.levels["item"]) < 4 or table.n_rows > _MOST_SIMULATED:
        return []
    try:
        found = residual_components(part.fit, table, facet="item", simulations=_SIMULATIONS)
    except DataError:
        return []
    noun = noun_of(table, "item")
    ends = [plain(label, 30) for label in found.loadings.sort_values("contrast_1")["level"].iloc[[-1, 0]]]
    beyond = found.n_beyond_chance
    text = (
        f"{numbered(beyond, 'component')} of what the measure leaves over {'is' if beyond == 1 else 'are'} larger than "
        f"in 95% of tables simulated from the fit: a further dimension, or {plural(noun)} that belong together. The "
        f"first sets {ends[0]} apart from {ends[1]}."
        if beyond
        else "No component of what the measure leaves over is larger than chance makes it: nothing speaks for a second "
        "dimension."
    )
    shows = [
        Show("component", "component", "count"),
        Show("eigenvalue", "eigenvalue", "number", f"In units of one {noun}'s residual variance"),
        Show("share", "share", "share", "Of the residual variance"),
        Show("simulated_mean", "by chance", "number", f"Mean of {_SIMULATIONS} tables simulated from the fit"),
        Show("simulated_upper", "up to", "number", "95% of the simulated tables stay below"),
        Show("flag", "flag", "flag"),
    ]
    suffix = "" if part.label is None else f"-{number}"
    caption = "Components of residuals, the largest first"
    return [
        Heading("Dimensions"),
        draw(
            lambda width: draw_components(found.eigenvalues, found.loadings, width=width),
            name=f"components-{number}",
            title=f"Eigenvalues of residual components of {plural(noun)}, and loadings on the first",
            reading=text,
        ),
        make_table(f"components{suffix}", found.eigenvalues, shows, caption=caption, most=_COMPONENTS, both_ends=False),
    ]
