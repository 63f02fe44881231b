"""Which levels each facet of a study takes, with the study checked against its instrument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from psymetric.design.labels import LABEL_SETS, labels, order_family, parse_order
from psymetric.design.rendering import options_of
from psymetric.design.settings import Orders, TextSource
from psymetric.design.study import Study
from psymetric.errors import DataError, DesignError, StudyError
from psymetric.instruments.schema import Instrument, Inventory, PairTask, Rubric
from psymetric.instruments.yaml_files import nearest

__all__ = ["facet_levels", "items_of"]

_POSITIONS: Final = ("ab", "ba")


def items_of(instrument: Instrument) -> tuple[str, ...]:
    """Ids of the items or criteria; none for a pair task."""
    if isinstance(instrument, Inventory):
        return tuple(item.id for item in instrument.items)
    return tuple(criterion.id for criterion in instrument.criteria) if isinstance(instrument, Rubric) else ()


def facet_levels(study: Study, instrument: Instrument, *, seed: int = 0) -> dict[str, tuple[str, ...]]:
    """Levels of template, order, item, judge, position, label, replacement and occasion.

    Facets that do not apply to the instrument are absent.

    Args:
        study: What was asked for.
        instrument: What it is asked with.
        seed: For random orders.

    Raises:
        StudyError: The study does not suit the instrument, or names a template, order, label set, replacement or
            position that does not exist, with the valid ones.
    """
    _check_roles(study, instrument)
    size = len(options_of(instrument)[0])
    facets = study.facets
    levels: dict[str, tuple[str, ...]] = {}
    levels["template"] = _names(study, "template", facets.template, tuple(instrument.templates))
    levels["order"] = _orders(study, facets.order, size, seed)
    if items := items_of(instrument):
        levels["item"] = items
    if not isinstance(instrument, Inventory):
        levels["judge"] = tuple(judge.name for judge in study.judges)
    if isinstance(instrument, PairTask):
        positions = ("all",) if facets.position == ("both",) else facets.position
        levels["position"] = _names(study, "position", positions, _POSITIONS, also=("both",))
    levels["label"] = _label_sets(study, instrument, size)
    if isinstance(instrument, Inventory) and instrument.replacements:
        levels["replacement"] = _names(study, "replacement", facets.replacement, tuple(instrument.replacements))
    levels["occasion"] = tuple(str(i + 1) for i in range(facets.occasion))
    return levels


def _check_roles(study: Study, instrument: Instrument) -> None:
    about = f"instrument {instrument.name!r} ({instrument.kind})"
    if isinstance(instrument, Inventory):
        if isinstance(study.subjects, TextSource):
            _fail(study, "subjects", f"{about} is answered by models: list them, not {{from: …}}")
        if study.judges:
            _fail(study, "judges", f"{about} takes no judges: the models listed under subjects answer it")
        if study.facets.replacement is not None and not instrument.replacements:
            _fail(study, "facets.replacement", f"{about} has no replacements; remove this facet")
        if study.design.kind == "linked":
            _fail(
                study, "design.kind", "a linked design links judges, and an inventory has none; use full or fractional"
            )
    else:
        if not isinstance(study.subjects, TextSource):
            _fail(study, "subjects", f"{about} judges texts: write {{from: file.jsonl, id: …, text: …}}")
        if not study.judges:
            _fail(study, "judges", f"{about} needs at least one judge")
        if study.personas:
            _fail(study, "personas", f"{about} takes no personas; they belong to inventories")
        if study.facets.replacement is not None:
            _fail(study, "facets.replacement", f"{about} has no replacements; remove this facet")
    if not isinstance(instrument, PairTask):
        _check_unpaired(study, about)
    _check_model(study, instrument)


def _check_unpaired(study: Study, about: str) -> None:
    if study.facets.position != ("both",):
        _fail(study, "facets.position", f"{about} does not compare texts; remove this facet")
    if isinstance(study.subjects, TextSource) and (study.subjects.system or study.subjects.group):
        _fail(study, "subjects", f"{about} takes no system or group; they belong to pair tasks")


def _check_model(study: Study, instrument: Instrument) -> None:
    if study.model is None:
        return
    # Only facets that this instrument has can be modelled; which of them vary is the user's business.
    known = ("item", "template", "order", "label", "occasion")
    known += ("replacement",) if isinstance(instrument, Inventory) else ("judge",)
    for facet in study.model.facets or ():
        if facet not in known:
            _fail(study, "model.facets", f"no facet {facet!r}; {nearest(str(facet), known)}")
    try:
        model = study.model.build(known)
    except (DataError, DesignError) as error:
        _fail(study, "model", str(error))
    reads = "pairs" if isinstance(instrument, PairTask) else "responses"
    if model.table_kind != reads:
        wanted = {"pairs": "comparisons", "responses": "ratings", "rankings": "rankings"}
        has, instead = ("compares", "bradley_terry") if reads == "pairs" else ("rates", "many_facet_rasch")
        about = f"{study.model.kind} needs {wanted[model.table_kind]}, {instrument.name!r} {has}; use {instead}"
        _fail(study, "model.kind", about)


def _names(
    study: Study, facet: str, given: Sequence[str] | None, valid: tuple[str, ...], also: tuple[str, ...] = ("all",)
) -> tuple[str, ...]:
    if given is None:
        return valid[:1]
    if tuple(given) == ("all",):
        return valid
    _check_repeats(study, facet, given)
    for name in given:
        if name not in valid:
            _fail(study, f"facets.{facet}", f"no {facet} {name!r}; {nearest(name, (*valid, *also))}")
    return tuple(given)


def _orders(study: Study, orders: Orders, size: int, seed: int) -> tuple[str, ...]:
    try:
        if orders.names is not None:
            _check_repeats(study, "order", orders.names)
            shown = [parse_order(name, size) for name in orders.names]
            twice = next((orders.names[i] for i, order in enumerate(shown) if order in shown[:i]), None)
            if twice is not None:
                raise StudyError(f"order {twice!r} repeats another order under a second name")
            return orders.names
        if orders.random is not None:
            return order_family("random", size, draws=orders.random, seed=seed)
        return order_family(str(orders.family), size, draws=1, seed=seed)
    except StudyError as error:
        if str(error).startswith(study.source):
            raise
        _fail(study, "facets.order", str(error))


def _label_sets(study: Study, instrument: Instrument, size: int) -> tuple[str, ...]:
    scores = options_of(instrument)[2]
    usable = [name for name in LABEL_SETS if _tellable(name, size, scores) or study.readout != "logprob"]
    everything = tuple(name for name in usable if _large_enough(name, size, scores))
    names = _names(study, "label", study.facets.label, LABEL_SETS) if study.facets.label != ("all",) else everything
    for name in names:
        try:
            labels(name, size, scores=scores)
        except StudyError as error:
            _fail(study, "facets.label", str(error))
        if name not in usable:
            _fail(
                study,
                "facets.label",
                f"labels of {name!r} can begin with the same token, which readout logprob cannot tell apart; "
                f"valid: {', '.join(everything)}",
            )
    return names


def _large_enough(name: str, size: int, scores: Sequence[object]) -> bool:
    try:
        return len(labels(name, size, scores=scores)) == size
    except StudyError:
        return False


def _tellable(name: str, size: int, scores: Sequence[object]) -> bool:
    """Whether the first character alone, which any tokenizer keeps within the first token, tells the labels apart."""
    if name == "symbols" or not _large_enough(name, size, scores):
        return name != "symbols"  # a symbol is several bytes, of which tokenizers may share the first
    shown = labels(name, size, scores=scores)
    return len({label[0] for label in shown}) == size


def _check_repeats(study: Study, facet: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            _fail(study, f"facets.{facet}", f"{name!r} is listed twice")
        seen.add(name)


def _fail(study: Study, field: str, message: str) -> NoReturn:
    raise StudyError(f"{study.source}: {field}: {message}")
