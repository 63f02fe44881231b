"""Verdicts of LLMBar: judges that choose between an output that follows an instruction and one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.nonresponse import NonResponse
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.instruments.importers.records import Records, read_records
from psymetric.instruments.importers.votes import kept_where, pair_table

__all__ = ["read_llmbar"]

_WHO: Final = "read_llmbar"
_KEY: Final = ("subset", "item", "evaluator", "method", "stage", "key")
_ORDERS: Final = {"swap = False": "original", "swap = True": "swapped"}
_OUTPUTS: Final = (1, 2)
Stage = Literal["last", "first"]


def read_llmbar(path: str | Path, *, stage: Stage = "last") -> PairTable:
    """Comparisons from LLMBar, each pair judged in both orders.

    The items compared are "gold", the output that follows the instruction, and "other": the difference of their worths
    is how far a judge tells them apart, in logits of its accuracy without ties or position. Left is the output shown
    first, so that a position effect can be told from accuracy. Facets: `judge` (evaluator), `template` (method of
    prompting), `subset`, `question` ("Natural/0"), and `order` ("original", "swapped"). A verdict that upstream could
    not read (null) is a non-response (`unparsable`), which upstream counts as wrong.

    Args:
        path: A table (`.csv`, `.jsonl` or `.parquet`) with the fields subset, item, gold (1 or 2), evaluator, method,
            stage, key ("swap = False" or "swap = True") and value (1, 2 or null; the better output in original order);
            or upstream's `result.json`, whose judge, method and subset are read from its path
            (`…/LLMBar/<subset>/evaluators/<judge>/<method>/result.json`).
        stage: Some methods ask again where the two orders disagreed: "last", the verdict that upstream scores, or
            "first".

    Raises:
        DataError: The file cannot be read, or a record cannot be understood; the message names the line.

    Source: Zeng et al. (2024), Evaluating large language models at evaluating instruction following, ICLR.
    """
    if stage not in get_args(Stage):
        raise DataError(f"{_WHO}: stage={stage!r} is not known: use one of {[*get_args(Stage)]}")
    path = Path(path)
    records = _result_file(path) if path.suffix == ".json" else read_records(path, (*_KEY, "gold", "value"), who=_WHO)
    records, _ = records.distinct(_KEY, "error")
    gold, value = _output(records, "gold"), _output(records, "value")
    if (empty := np.isnan(gold)).any():
        raise records.error("field 'gold' is empty", empty, [], "give the better output, 1 or 2")
    keys = records.labels("key")
    if (odd := ~keys.isin(_ORDERS).to_numpy(dtype=bool)).any():
        raise records.error("unknown labels in 'key'", odd, keys[odd], f"this format knows {[*_ORDERS]}")
    order = keys.map(_ORDERS).to_numpy(dtype=object)
    first = np.where(order == "original", *_OUTPUTS)
    shown_gold = first == gold
    lost = np.isnan(value)
    outcome = kept_where(np.where(value == first, "left", "right"), ~lost)
    subset, item = records.labels("subset").astype(str), records.labels("item").astype(str)
    frame = pd.DataFrame(
        {
            "left": np.where(shown_gold, "gold", "other"),
            "right": np.where(shown_gold, "other", "gold"),
            "judge": records.labels("evaluator"),
            "template": records.labels("method"),
            "subset": subset,
            "question": subset + "/" + item,
            "order": order,
            "outcome": outcome,
            "reason": kept_where(NonResponse.unparsable.value, lost),
        }
    )
    frame = frame[_of_stage(frame, records.numbers("stage"), stage)].reset_index(drop=True)
    return pair_table(frame, ("judge", "template", "subset", "question", "order"))


def _of_stage(frame: pd.DataFrame, stages: NDArray[np.float64], stage: Stage) -> NDArray[np.bool_]:
    """The rows of the last or the first stage that was reached for a judge, method, question and order."""
    key = ["judge", "template", "question", "order"]
    reached = frame.assign(stage=stages).groupby(key, sort=False)["stage"]
    return stages == (reached.transform("max") if stage == "last" else reached.transform("min")).to_numpy()


def _output(records: Records, field: str) -> NDArray[np.float64]:
    """Which output, 1 or 2, NaN where the file says null; shape (records,)."""
    found = records.numbers(field)
    odd = ~np.isnan(found) & ~np.isin(found, _OUTPUTS)
    if odd.any():
        raise records.error(f"outputs in {field!r} other than 1 and 2", odd, found[odd].tolist(), "use 1, 2 or null")
    return found


def _result_file(path: Path) -> Records:
    """Upstream's file of one judge and method, with a row for every verdict."""
    parts = path.resolve().parts
    if len(parts) < 5 or parts[-4] != "evaluators":
        raise DataError(
            f"{_WHO}: {path} does not lie in <subset>/evaluators/<judge>/<method>/, from which its judge and "
            "method are read; keep upstream's folders, or make one table of all files."
        )
    above = parts[-6] if len(parts) > 5 else ""
    subset = f"{above}/{parts[-5]}" if above == "Adversarial" else parts[-5]
    whole = read_records(path, ("label", "results"), who=_WHO)
    rows: list[dict[str, Any]] = []
    results = whole.values("results")
    shaped = np.array([_is_results(cell) for cell in results], dtype=bool)
    if not shaped.all():
        fix = 'upstream writes a list of stages, each with "swap = False" and "swap = True"'
        raise whole.error("field 'results' has another form", ~shaped, [], fix)
    for item, (gold, stages) in enumerate(zip(whole.values("label"), results, strict=True)):
        for stage, verdicts in enumerate(stages):
            rows += [
                {"item": item, "gold": gold, "stage": stage, "key": key, "value": _number(verdict.get("winner"))}
                for key, verdict in verdicts.items()
                if "winner" in verdict
            ]
    if not rows:
        raise DataError(f"{_WHO}: {path} holds no verdict: no stage of its results has a winner.")
    frame = pd.DataFrame(rows).assign(subset=subset, evaluator=parts[-3], method=parts[-2])
    return Records(path, _WHO, frame, frame["item"].to_numpy(dtype=np.int64), False, {})


def _is_results(cell: object) -> bool:
    if not isinstance(cell, list) or not cell:
        return False
    return all(isinstance(stage, dict) and all(isinstance(v, dict) for v in stage.values()) for stage in cell)


def _number(winner: object) -> object:
    """Upstream writes the output as a text."""
    return int(winner) if winner in ("1", "2") else winner
