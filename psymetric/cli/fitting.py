"""Commands about tables: fit one, and write the report of a stored fit again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from psymetric.cli.comparisons import Comparisons, read_meanings
from psymetric.cli.options import Level, Out, Title, show, wrote
from psymetric.cli.rankings import ranking_model, read_rankings
from psymetric.cli.tables import FORMATS, columns_of, order_is_known, read_format, read_own
from psymetric.cli.truths import Truths
from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.pairs import PairTable
    from psymetric.data.rankings import RankingTable
    from psymetric.data.responses import ResponseTable
    from psymetric.models.base import AbstractMeasurementModel
    from psymetric.models.truth import AbstractTruthModel

    Table = ResponseTable | PairTable | RankingTable

__all__ = ["fit", "report"]

_MAP = "Comparisons, what a label means: model_a=left, draw=tie, both_bad=none (no vote); repeatable."
_SLOPES = "Comparisons: facet whose levels differ in discrimination, such as judge; repeatable."
_TRUTH = "Labels of one true category: dawid_skene, one_coin, glad, mace, …; see the models of a latent truth."
_CATEGORY = "True categories: a label, from low to high; repeatable. By default all in the file, sorted."
_SETTING = "True categories: setting of the model, such as groups=topic or prior_labels=2; repeatable."
_CONTEST = "Comparisons: column of what left has more than right, such as length; repeatable."


def fit(
    data: Annotated[
        Path, typer.Argument(help="CSV, Parquet or JSONL: one row per rating, comparison or item of a ranking.")
    ],
    response: Annotated[str, typer.Option("--response", "-r", help="Column with the rating.")] = "",
    subject: Annotated[str, typer.Option("--subject", "-s", help="Column with what is measured.")] = "",
    item: Annotated[str, typer.Option("--item", "-i", help="Column with the criterion or question.")] = "",
    facet: Annotated[list[str] | None, typer.Option("--facet", "-f", help="Judge, template, …; repeatable.")] = None,
    dimension: Annotated[str, typer.Option(help="Column whose values are fitted one by one.")] = "",
    weight: Annotated[str, typer.Option(help="Column with counts.")] = "",
    reason: Annotated[str, typer.Option(help="Column that says why a response is missing.")] = "",
    pairs: Annotated[bool, typer.Option("--pairs", help="The file holds comparisons: left, right, winner.")] = False,
    rankings: Annotated[bool, typer.Option("--rankings", help="The file holds rankings: list, item, rank.")] = False,
    task: Annotated[str, typer.Option(help="Rankings: column with what was ranked under, such as the list.")] = "",
    rank: Annotated[str, typer.Option(help="Rankings: column with 1, 2, … or best, neither, worst.")] = "",
    form: Annotated[str, typer.Option("--format", help=f"What another program stored: {', '.join(FORMATS)}.")] = "",
    left: Annotated[str, typer.Option(help="Comparisons: column with the one shown first.")] = "",
    right: Annotated[str, typer.Option(help="Comparisons: column with the other.")] = "",
    outcome: Annotated[str, typer.Option(help="Comparisons: column with left, right, tie, or the winner's name.")] = "",
    mapped: Annotated[list[str] | None, typer.Option("--map", help=_MAP)] = None,
    ties: Annotated[str, typer.Option(help="Comparisons: davidson, rao_kupper, half (half wins) or none.")] = "",
    position: Annotated[str, typer.Option(help="Comparisons, what being first is worth: common, none, or judge.")] = "",
    slopes: Annotated[list[str] | None, typer.Option(help=_SLOPES)] = None,
    contest: Annotated[list[str] | None, typer.Option(help=_CONTEST)] = None,
    steps: Annotated[str, typer.Option(help='Ratings: "common", or the facet whose levels own their steps.')] = "",
    random: Annotated[list[str] | None, typer.Option(help="Facet whose levels are a sample; repeatable.")] = None,
    truth: Annotated[str, typer.Option(help=_TRUTH)] = "",
    judge: Annotated[str, typer.Option(help="True categories: column with who gave the label.")] = "",
    gold: Annotated[str, typer.Option(help="True categories: the judge whose labels are the truth.")] = "",
    category: Annotated[list[str] | None, typer.Option(help=_CATEGORY)] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help=_SETTING)] = None,
    engine: Annotated[
        str, typer.Option(help="marginal_ml, conditional_ml, joint_ml, map, laplace, nuts, svi or pymc_nuts.")
    ] = "",
    title: Title = "",
    level: Level = 0.95,
    out: Out = Path("out"),
) -> None:
    """Fit your own judge scores, comparisons or rankings, or what another program stored.

    psymetric fit scores.csv -r rating -s conversation -i criterion -f judge

    psymetric fit votes.csv --pairs --map "model_a=left" --map "model_b=right"

    psymetric fit lists.csv --rankings --task prompt -i model --rank place

    psymetric fit annotations.json --format alpaca-eval --contest length

    psymetric fit labels.csv --truth dawid_skene -r label -s item --judge annotator --gold expert
    """
    from psymetric.workflow import analyse, engine_named

    given = {"response": response, "subject": subject, "item": item, "left": left, "right": right, "outcome": outcome}
    optional = {"dimension": dimension, "weight": weight, "reason": reason}
    kind = {"--pairs": pairs, "--rankings": rankings, "--format": form}
    file = _File(data, given, {"task": task, "rank": rank}, tuple(facet or ()), optional, kind)
    options = Comparisons(read_meanings(mapped or []), ties, position, tuple(slopes or ()), tuple(contest or ()))
    truths = Truths(truth, judge, gold, tuple(category or ()), tuple(setting or ()))
    scale = {"--steps": steps, "--random": random or []}
    table, model = _labels(file, truths, options.given | scale) if truth else _model(file, options, scale)
    heading = title or data.name.removesuffix(".gz").rpartition(".")[0]
    analysis = analyse(table, model=model, engine=engine_named(engine) if engine else None, title=heading, level=level)
    show(analysis)
    wrote(analysis.save(out))


def report(
    fitted: Annotated[Path, typer.Argument(help="Fit (.npz) that an earlier command wrote.")],
    table: Annotated[Path, typer.Argument(help="Table (.parquet) that it was fitted to.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("report.html"),
    title: Title = "",
    plan: Annotated[Path | None, typer.Option(help="Plan (.parquet) behind the table.")] = None,
    truth: Annotated[Path | None, typer.Option(help="CSV of known values: facet, level, true (logits).")] = None,
    level: Level = 0.95,
) -> None:
    """Write the report of a stored fit again."""
    import pandas as pd

    from psymetric.data.pairs import PairTable
    from psymetric.data.rankings import RankingTable
    from psymetric.data.responses import ResponseTable
    from psymetric.design.plan import Plan
    from psymetric.estimation.fit import Fit
    from psymetric.reporting import report as reporting

    result = Fit.load(fitted)
    kind = {"pairs": PairTable, "rankings": RankingTable, "responses": ResponseTable}[result.model.table_kind]
    page = reporting.report(
        result,
        kind.read(table),
        title=title or None,
        plan=None if plan is None else Plan.read(plan),
        truth=None if truth is None else pd.read_csv(truth),
        level=level,
    )
    wrote({"report": page.save(out)})


@final
@dataclass(frozen=True)
class _File:
    """The file to read; names of columns are empty where left out.

    Attributes:
        path: Its place.
        given: Column of response, subject, item, left, right and outcome.
        places: Column of task and rank.
        facets: Columns of the facets.
        optional: Column of dimension, weight and reason.
        kind: What the user said that it holds, by option.
    """

    path: Path
    given: Mapping[str, str]
    places: Mapping[str, str]
    facets: tuple[str, ...]
    optional: Mapping[str, str]
    kind: Mapping[str, Any]

    def read(self, options: Comparisons) -> Table:
        """The table in it, of the kind named, or found."""
        form, facets = self.kind["--format"], list(self.facets)
        ranked = {"task": self.places["task"], "item": self.given["item"], "rank": self.places["rank"]}
        if self.kind["--rankings"]:
            unused = {**self.given, "item": "", "dimension": self.optional["dimension"], "format": form}
            _refuse_columns("--rankings has task, item and rank", unused)
            weight, reason = self.optional["weight"], self.optional["reason"]
            return read_rankings(self.path, columns_of(self.path), ranked, facets, weight, reason)
        if form:
            _refuse_columns(f"--format {form} knows its own fields", {**self.given, **self.optional, **ranked})
            return read_format(self.path, form, facets, options)
        return read_own(
            self.path, dict(self.given), facets, dict(self.optional), pairs=self.kind["--pairs"], options=options
        )


def _labels(file: _File, truths: Truths, others: Mapping[str, object]) -> tuple[ResponseTable, AbstractTruthModel]:
    """Labels of one true category, and their model; other options have no meaning there."""
    own = ("response", "subject")
    columns = {f"--{role}": name for role, name in {**file.given, **file.places}.items() if role not in own}
    truths.refuse({**file.kind, **others, **columns, "--dimension": file.optional["dimension"]})
    return truths.read(file.path, {role: file.given[role] for role in own}, file.facets, file.optional)


def _refuse_columns(why: str, columns: Mapping[str, str]) -> None:
    """Raise DataError where a column was named that has no meaning there."""
    if named := [f"--{role}" for role, column in columns.items() if column]:
        raise DataError(f"{', '.join(named)}: {why}; leave it out, or read the file as another kind")


def _model(
    file: _File, options: Comparisons, scale: Mapping[str, Any]
) -> tuple[Table, AbstractMeasurementModel | None]:
    """The table to fit, and the model that the options describe; None for the one that fits the table's kind."""
    from psymetric.data.pairs import PairTable
    from psymetric.data.rankings import RankingTable
    from psymetric.design.settings import ModelSettings
    from psymetric.workflow import choose_model

    table, (steps, random) = file.read(options), scale.values()
    if isinstance(table, RankingTable):
        return table, ranking_model(table, options, dict(scale))
    if isinstance(table, PairTable):
        if steps:
            raise DataError("--steps: for ratings, and the file was read as comparisons; leave it out")
        return options.model(table, shown=order_is_known(file.kind["--format"]), random=random)
    options.refuse_ratings()
    chosen = ({"steps": steps} if steps else {}) | ({"random": random} if random else {})
    return table, choose_model(table, ModelSettings(kind="many_facet_rasch", settings=chosen)) if chosen else None
