"""Judgements of MT-bench: GPT-4's or people's choices between two answers, and a judge's ratings of single ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from psymetric.data.coding import Label
from psymetric.data.nonresponse import NonResponse
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.instruments.importers.records import Records, Repeats, read_records
from psymetric.instruments.importers.votes import THOUSAND, kept_where, pair_table, read_outcomes

__all__ = ["read_mt_bench", "read_mt_bench_scores"]

_WHO: Final = "read_mt_bench"
Orders = Literal["both", "agreed"]

_PAIR: Final = ("question_id", "model_1", "model_2", "judge", "turn")
_VOTE: Final = ("question_id", "model_a", "model_b", "judge", "turn")
_JOINED: Final = ("judge_x", "winner_x", "judge_y", "winner_y")
_LENGTHS: Final = ("len_a", "len_b")
_JUDGEMENTS: Final = ("g1_judgment", "g2_judgment")
_FAILED_CALL: Final = "$ERROR$"
_GAME: Final[Mapping[str, str | None]] = {"model_1": "left", "model_2": "right", "tie": "tie", "error": None}
_WINNER: Final[Mapping[str, str | None]] = {"model_a": "left", "model_b": "right", "tie": "tie", "error": None}
_UNPARSED: Final = {"error": NonResponse.unparsable}
_SWAPPED: Final = {"left": "right", "right": "left", "tie": "tie"}
_NO_SCORE: Final = -1


def read_mt_bench(
    path: str | Path,
    *,
    orders: Orders = "both",
    outcomes: Mapping[Any, str | None] | None = None,
    length: Literal["characters"] | None = None,
    repeats: Repeats = "error",
) -> PairTable:
    """Comparisons from MT-bench, in one of three forms.

    * FastChat's `gpt-4_pair.jsonl`: `model_1`, `model_2`, `g1_winner` (model 1 was shown first) and `g2_winner`
      (model 2 was), each "model_1", "model_2", "tie" or "error". Both games are rows, with the model shown first on
      the left and the facet `order` ("original", "swapped"): a position effect can be told from worth, and nothing is
      thrown away. "error" is a non-response: `transport` where the judge's reply is FastChat's "$ERROR$", else
      `unparsable`.
    * Votes such as lmsys/mt_bench_human_judgments: `model_a`, `model_b`, `winner` ("model_a", "model_b", "tie",
      "error").
    * The same joined by question and pair: `judge_x`, `winner_x`, `judge_y`, `winner_y`. Every distinct vote counts
      once: the second judge's is not repeated for each of the first judge's.

    Facets: `judge`, `question` (`question_id`), `turn`, and where the file has them `template` (the name of the judge's
    prompt, where `judge` is a list of both) and `category`.

    Args:
        path: `.jsonl`, `.json` (a list), `.csv` (each also with `.gz`) or `.parquet`.
        orders: "both", or "agreed", upstream's own rule (FastChat's show_result.py): one row for both games, with the
            winner that both name and else a tie; a note says so. It hides how often a judge contradicts itself.
        outcomes: What labels of `winner` mean, in the other two forms. "tie (inconsistent)", which is upstream's rule
            too, is unknown until `outcomes={"tie (inconsistent)": "tie"}` or None (a non-response) says how to read it.
        length: "characters" adds the facet `length` for `BradleyTerry(contest="length")`, from `len_a` and `len_b`:
            what the left answers have more than the right ones, in thousands of characters.
        repeats: What to do with a vote of the same judge on the same question, turn and models: "error", "first" (leave
            it out), or "keep".

    Raises:
        DataError: The file cannot be read or holds ratings, or a record cannot be understood; the message names the
            line.

    Source: Zheng et al. (2023), Judging LLM-as-a-judge with MT-bench and Chatbot Arena, NeurIPS.
    """
    if orders not in get_args(Orders):
        raise DataError(f"{_WHO}: orders={orders!r} is not known: use one of {[*get_args(Orders)]}")
    if length not in (None, "characters"):
        raise DataError(f'{_WHO}: length={length!r} is not known: use None or "characters"')
    games = ("g1_winner", "g2_winner", "m1_score", "score", *_JUDGEMENTS)
    fields = (*dict.fromkeys((*_PAIR, *_VOTE)), "winner", "category", *games, *_JOINED, *(_LENGTHS if length else ()))
    records = read_records(path, fields, who=_WHO)
    if records.has("g1_winner"):
        return _games(records, orders, outcomes, length, repeats)
    if orders != "both":
        raise DataError(f"{_WHO}: {path} has no two games per record, so orders={orders!r} has nothing to join.")
    if records.has("score") and not records.has("winner"):
        raise DataError(f"{_WHO}: {path} holds ratings of single answers; use read_mt_bench_scores.")
    joined = records.has(*_JOINED)
    parts = [_of_judge(records, *names) for names in (_JOINED[:2], _JOINED[2:])] if joined else [records]
    voted = [_votes(part, outcomes or {}, length, repeats) for part in parts]
    frame = pd.concat([part for part, _ in voted], ignore_index=True)
    return pair_table(frame, _facets(frame), *(note for _, notes in voted for note in notes))


def read_mt_bench_scores(
    path: str | Path, *, categories: Sequence[Label] = tuple(range(1, 11)), repeats: Repeats = "error"
) -> ResponseTable:
    """Ratings of single answers from MT-bench, FastChat's `gpt-4_single.jsonl`.

    `model` is the subject, `question_id` the item, `score` the response. A score of -1 says that the judge's reply held
    none: a non-response (`unparsable`, or `transport` where the reply is FastChat's "$ERROR$"), never a low rating.
    Facets: `judge`, `turn`, and `template` (the name of the judge's prompt, where `judge` is a list of both).

    Args:
        path: `.jsonl`, `.json` (a list), `.csv` (each also with `.gz`) or `.parquet`.
        categories: Every possible rating from low to high. The prompt asks for 1 to 10; where a judge gave halves, list
            them.
        repeats: What to do with a rating of the same answer by the same judge: "error", "first" (leave it out), or
            "keep".

    Raises:
        DataError: The file cannot be read, or a record cannot be understood; the message names the line.

    Source: Zheng et al. (2023), Judging LLM-as-a-judge with MT-bench and Chatbot Arena, NeurIPS.
    """
    key = ("question_id", "model", "judge", "turn")
    records = read_records(path, (*key, "score", "judgment"), who="read_mt_bench_scores")
    records, notes = records.distinct(key, repeats)
    score = records.numbers("score")
    lost = np.isnan(score) | (score == _NO_SCORE)
    columns = {"subject": records.labels("model"), "question": records.labels("question_id"), **_judges(records)}
    columns["turn"] = records.labels("turn")
    odd = ~lost & ~np.isin(score, [float(label) for label in categories])
    if odd.any():
        fix = "list every possible rating in categories=, low to high"
        raise records.error("scores that are not among the categories", odd, score[odd].tolist(), fix)
    reason = kept_where(_why_lost(records, "judgment"), lost)
    frame = pd.DataFrame({**columns, "score": np.where(lost, np.nan, score), "reason": reason})
    table = ResponseTable.from_frame(
        frame,
        response="score",
        subject="subject",
        item="question",
        facets=[name for name in columns if name not in ("subject", "question")],
        categories=categories,
        reason="reason",
    )
    return table.noted(*notes)


def _games(
    records: Records,
    orders: Orders,
    outcomes: Mapping[Any, str | None] | None,
    length: str | None,
    repeats: Repeats,
) -> PairTable:
    """The two games of each record."""
    who, path = records.who, records.path
    if outcomes or length:
        raise DataError(f"{who}: {path} holds pairs of games, which have no outcomes= to map and no lengths.")
    if records.has("m1_score"):
        raise DataError(
            f"{who}: {path} holds choices that were made from two ratings (m1_score), not by comparing; "
            "read the ratings with read_mt_bench_scores, and compare with pairs_from_ratings."
        )
    records, notes = records.distinct(_PAIR, repeats)
    items = [records.labels(name) for name in ("model_1", "model_2")]
    records.refuse_self("model_1", "model_2")
    shared = {"question": records.labels("question_id"), "turn": records.labels("turn"), **_judges(records)}
    games: list[pd.DataFrame] = []
    for game, judgement in zip(("g1_winner", "g2_winner"), _JUDGEMENTS, strict=True):
        votes = read_outcomes(records, game, _GAME, lost=_UNPARSED)
        games.append(votes.assign(reason=kept_where(_why_lost(records, judgement), votes["outcome"].isna().to_numpy())))
    if orders == "agreed":
        frame = pd.DataFrame({"left": items[0], "right": items[1], **shared, **_agreed(*games)})
        rule = (
            "Both orders of each pair were joined into one vote, a tie where they disagree (upstream's rule): how "
            "often the judge contradicts itself, and what being first is worth, are no longer to be seen."
        )
        return pair_table(frame, [*shared], *notes, rule)
    swapped = games[1].assign(outcome=games[1]["outcome"].map(_SWAPPED).astype(object))
    both = pd.concat(
        [
            pd.DataFrame({"left": items[0], "right": items[1], **shared, "order": "original", **games[0]}),
            pd.DataFrame({"left": items[1], "right": items[0], **shared, "order": "swapped", **swapped}),
        ]
    )
    frame = both.sort_index(kind="stable").reset_index(drop=True)
    return pair_table(frame, [*shared, "order"], *notes)


def _agreed(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """Upstream's one vote for both games: the winner that both name, else a tie; none where a game has none."""
    outcome = first["outcome"].where(first["outcome"] == second["outcome"], "tie")
    lost = first["outcome"].isna() | second["outcome"].isna()
    return {"outcome": outcome.mask(lost, None), "reason": first["reason"].fillna(second["reason"])}


def _of_judge(records: Records, judge: str, winner: str) -> Records:
    """The votes of one of the two judges whose votes were joined, each once."""
    own = [name for name in records.frame.columns if name not in _JOINED]
    frame = records.frame[[*own, judge, winner]].rename(columns={judge: "judge", winner: "winner"})
    return replace(records, frame=frame).take(~frame.duplicated().to_numpy(dtype=bool))


def _votes(
    records: Records, outcomes: Mapping[Any, str | None], length: str | None, repeats: Repeats
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row per vote, and notes."""
    records, notes = records.distinct(_VOTE, repeats)
    columns: dict[str, Any] = {"left": records.labels("model_a"), "right": records.labels("model_b")}
    records.refuse_self("model_a", "model_b")
    columns |= {"question": records.labels("question_id"), "turn": records.labels("turn"), **_judges(records)}
    if records.has("category"):
        columns["category"] = records.labels("category")
    if length:
        sides = [records.numbers(name) for name in _LENGTHS]
        columns["length"] = (sides[0] - sides[1]) / THOUSAND
    votes = read_outcomes(records, "winner", _WINNER, sides=("model_a", "model_b"), given=outcomes, lost=_UNPARSED)
    return pd.DataFrame({**columns, **votes}), notes


def _judges(records: Records) -> dict[str, pd.Series[Any]]:
    """The judge, and the name of its prompt where FastChat wrote [judge, prompt]."""
    cells = records.values("judge")
    listed = np.array([isinstance(cell, (list, np.ndarray)) for cell in cells], dtype=bool)
    if not listed.any():
        return {"judge": records.labels("judge")}
    odd = ~np.array([_is_pair(cell) for cell in cells], dtype=bool)
    if odd.any():
        fix = "FastChat writes [judge, name of its prompt]; write all judges in one way"
        raise records.error("judges of different forms", odd, cells[odd], fix)
    parts = [pd.Series([cell[place] for cell in cells.tolist()], dtype=object) for place in (0, 1)]
    return {"judge": parts[0], "template": parts[1]}


def _is_pair(cell: object) -> bool:
    parts = list(cell) if isinstance(cell, (list, np.ndarray)) else []
    return len(parts) == 2 and all(isinstance(part, str) and part.strip() for part in parts)


def _why_lost(records: Records, judgement: str) -> np.ndarray[Any, Any]:
    """Why each record would have no answer, were it without one, shape (records,)."""
    failed = records.has(judgement) and (records.frame[judgement] == _FAILED_CALL).to_numpy(dtype=bool)
    return np.where(failed, NonResponse.transport.value, np.full(len(records), NonResponse.unparsable.value))


def _facets(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in ("left", "right", "outcome", "reason")]
