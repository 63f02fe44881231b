"""Asking a real loopback server: answers, budgets, pace, stores and mistakes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import QUICK, TOY, ToyPlan, completion, endpoint, serving
from rich.console import Console
from starlette.responses import JSONResponse, Response

from psymetric.administration.administer import Responses, administer
from psymetric.administration.budget import Budget
from psymetric.administration.pace import Pace
from psymetric.administration.store import Store
from psymetric.administration.tables import responses_frame
from psymetric.errors import DesignError, StoreError, StudyError
from psymetric.providers.base import ModelEndpoint
from psymetric.providers.scripted import Scripted


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Responses]:
    """`administer`, quick and quiet, into the test's own store."""

    def call(plan: ToyPlan, **more: Any) -> Responses:
        settings = {"store": tmp_path / "run.db", "progress": False, "pace": QUICK} | more
        return administer(plan, **settings)

    return call


Ask = Callable[..., Responses]


def error(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status, headers=headers)


def once(failure: Response | Callable[[], Any]) -> Callable[[dict[str, Any], int], Any]:
    """Fail each question the first time, then answer."""

    def handler(body: dict[str, Any], before: int) -> Any:
        if before:
            return completion()
        return failure() if callable(failure) and not isinstance(failure, Response) else failure

    return handler


def test_every_question_is_answered_and_stored_in_full(ask: Ask, tmp_path: Path) -> None:
    with serving(lambda body, _: completion(str(1 + int(body["messages"][0]["content"].split()[1]) % 5))) as log:
        plan = ToyPlan(30, (endpoint(log.base_url),))
        responses = ask(plan)
    assert responses.frame["category"].tolist() == [i % 5 for i in range(30)]
    assert responses.counts == {"answered": 30}
    assert responses.complete
    assert responses.message == f"30 of 30 requests answered, stored in sqlite:///{tmp_path}/run.db."
    assert (responses.spent.calls, responses.spent.tokens) == (30, 330)
    row = responses.frame.iloc[3]
    assert (row["text"], row["finish_reason"], row["echoed_model"], row["attempts"]) == ("4", "stop", "toy-echo", 1)
    assert row["latency_s"] > 0
    with Store(tmp_path / "run.db", create=False) as store:
        stored = next(r for r in store.rows(["key", "request"]) if r["key"] == row["key"])
    assert '"content": "question 3"' in stored["request"]


def test_second_run_asks_nothing(ask: Ask) -> None:
    with serving(lambda *_: completion()) as log:
        plan = ToyPlan(10, (endpoint(log.base_url),))
        first = ask(plan)
        second = ask(plan)
    assert len(log.questions) == 10
    assert first.frame.equals(second.frame)


def test_logprob_readout_gives_distributions(ask: Ask) -> None:
    top = [("4", -0.5), (" 4", -2.0), ("5", -1.5), ("x", -3.0)]
    with serving(lambda *_: completion(top=top)) as log:
        responses = ask(ToyPlan(3, (endpoint(log.base_url),), replace(TOY, readout="logprob")))
    assert log.bodies[0]["logprobs"] is True
    row = responses.frame.iloc[0]
    assert row["distribution"] == pytest.approx([0, 0, 0, 0.768, 0.232], abs=1e-3)
    assert row["mass"] == pytest.approx(0.965, abs=1e-3)
    assert responses.frame["category"].isna().all()


def test_concurrency_grows_and_respects_the_endpoints_ceiling(ask: Ask) -> None:
    async def slow() -> Any:
        await asyncio.sleep(0.02)
        return completion()

    with serving(lambda *_: slow()) as log:
        ask(ToyPlan(200, (endpoint(log.base_url, max_concurrency=40),)))
    assert 25 < log.most_in_flight <= 40


def test_request_rate_is_respected(ask: Ask) -> None:
    with serving(lambda *_: completion()) as log:
        ask(ToyPlan(10, (endpoint(log.base_url, requests_per_minute=3_000),)))
    assert log.times[-1] - log.times[0] >= 9 * 0.02 * 0.9


def test_call_cap_is_exact_over_several_runs(ask: Ask) -> None:
    with serving(lambda *_: completion()) as log:
        plan = ToyPlan(50, (endpoint(log.base_url),))
        first = ask(plan, budget=Budget(calls=30))
        assert len(log.questions) == 30
        assert first.counts == {"answered": 30, "budget": 20}
        assert (
            "Stopped at the budget (calls = 30) with 20 not asked: raise it and run the same command" in first.message
        )
        assert ask(plan, budget=Budget(calls=30)).counts == {"answered": 30, "budget": 20}
        assert ask(plan, budget=Budget(calls=50)).counts == {"answered": 50}
    assert len(log.questions) == 50


@pytest.mark.parametrize("budget", [Budget(tokens=500), Budget(cost=500.0)])
def test_token_and_cost_caps_are_never_overrun(ask: Ask, budget: Budget) -> None:
    priced = {"price": {"input": 1e6, "output": 1e6}}
    with serving(lambda *_: completion(usage=(10, 1))) as log:
        responses = ask(ToyPlan(100, (endpoint(log.base_url, **priced),)), budget=budget)
    # 11 a request; a worst case (10 for the prompt, 16 to answer) must still fit before one more is sent.
    assert 500 - 26 < responses.spent.tokens <= 500
    assert responses.counts["answered"] == len(log.questions)


def test_failed_connections_and_429s_do_not_count_as_calls(ask: Ask) -> None:
    with serving(once(error(429))) as log:
        responses = ask(ToyPlan(6, (endpoint(log.base_url),)), budget=Budget(calls=6))
    assert responses.counts == {"answered": 6}
    assert responses.spent.calls == 6


def test_studys_budget_is_the_default(ask: Ask) -> None:
    class Study:
        budget = Budget(calls=2)

    class Planned(ToyPlan):
        study = Study()

    with serving(lambda *_: completion()) as log:
        assert ask(Planned(5, (endpoint(log.base_url),))).counts == {"answered": 2, "budget": 3}


def test_cost_cap_needs_prices(ask: Ask) -> None:
    with pytest.raises(StudyError, match="endpoint 'judge' has none; add price"):
        ask(ToyPlan(5, (endpoint("http://127.0.0.1:1/v1"),)), budget=Budget(cost=1))


def test_full_disk_stops_the_run_and_keeps_what_was_stored(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    append = Store.append

    def fills_up(self: Store, rows: Any) -> None:
        if sum(written) >= 10:
            raise StoreError("cannot write to store run.db: database or disk is full; free some space on the disk")
        append(self, rows)
        written.append(len(rows))

    monkeypatch.setattr(Store, "append", fills_up)
    with serving(lambda *_: completion()) as log:
        plan = ToyPlan(200, (endpoint(log.base_url),))
        with pytest.raises(StoreError, match="disk is full"):
            ask(plan)
        monkeypatch.setattr(Store, "append", append)
        assert responses_frame(tmp_path / "run.db", plan)["reason"].isna().sum() == sum(written)
        assert len(log.questions) < 200
        assert ask(plan).counts == {"answered": 200}


def test_mistake_in_a_provider_is_that_requests_failure(ask: Ask) -> None:
    def answer(prompt: Any) -> str:
        if prompt.messages[0][1] == "question 1":
            raise ZeroDivisionError("oops")
        return "4"

    judge = ModelEndpoint(name="judge", provider="scripted", replies=("x",))
    responses = ask(ToyPlan(4, (judge,)), providers={"judge": Scripted(answer)})
    assert responses.counts == {"answered": 3, "transport": 1}
    assert responses.frame["detail"][1] == "ProviderError: endpoint 'judge': ZeroDivisionError: oops"


def test_mistake_in_a_plan_stops_with_its_own_error(ask: Ask) -> None:
    class Broken(ToyPlan):
        def prompt(self, i: int) -> Any:
            if self.__dict__.get("armed") and i == 3:
                raise DesignError("row 3 has no text")
            return super().prompt(i)

    plan = Broken(5, (ModelEndpoint(name="judge", provider="scripted", replies=("4",)),))
    frame = plan.frame
    object.__setattr__(plan, "armed", True)
    monkey = type("Fixed", (), {"frame": frame, "prompt": plan.prompt, "endpoint": plan.endpoint})()
    with pytest.raises(DesignError, match="row 3 has no text"):
        ask(monkey)


def test_repeated_keys_are_refused(ask: Ask) -> None:
    plan = ToyPlan(2, (ModelEndpoint(name="judge", provider="scripted", replies=("4",)),))
    frame = plan.frame.assign(key="same")
    repeated = type("Repeated", (), {"frame": frame, "prompt": plan.prompt, "endpoint": plan.endpoint})()
    with pytest.raises(DesignError, match="2 of 2 rows share a request key, first rows 0 and 1"):
        ask(repeated)


def test_empty_plan_asks_nothing(ask: Ask) -> None:
    plan = ToyPlan(0, (endpoint("http://127.0.0.1:1/v1"),))
    assert ask(plan).message.startswith("0 of 0 requests answered")


def test_mock_transport_takes_the_place_of_the_network(ask: Ask) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=completion("5")))
    responses = ask(ToyPlan(3, (endpoint("http://nowhere.invalid/v1"),)), transport=transport)
    assert responses.frame["category"].tolist() == [4, 4, 4]


def test_runs_inside_an_event_loop(ask: Ask) -> None:
    async def notebook() -> Responses:
        return ask(ToyPlan(3, (ModelEndpoint(name="judge", provider="scripted", replies=("4",)),)))

    assert asyncio.run(notebook()).counts == {"answered": 3}


def test_progress_is_shown_where_it_is_wanted(ask: Ask) -> None:
    out = io.StringIO()
    plan = ToyPlan(3, (ModelEndpoint(name="judge", provider="scripted", replies=("4",)),))
    ask(plan, progress=Console(file=out, width=300))
    assert out.getvalue().startswith("3 of 3 requests answered, stored in sqlite:")


def test_stored_texts_can_be_read_again(ask: Ask, tmp_path: Path) -> None:
    with serving(lambda *_: completion("4")) as log:
        plan = ToyPlan(2, (endpoint(log.base_url),))
        ask(plan)
    with Store(tmp_path / "run.db") as store, store._engine.begin() as connection:
        connection.exec_driver_sql("update attempts set category = null, reason = 'unparsable', parser = 'older'")
    assert responses_frame(tmp_path / "run.db", plan)["reason"].tolist() == ["unparsable"] * 2
    assert responses_frame(tmp_path / "run.db", plan, reparse=True)["category"].tolist() == [3, 3]


def test_impossible_pace_is_refused() -> None:
    with pytest.raises(DesignError, match="attempts = 0"):
        Pace(attempts=0)


def test_answers_that_arrive_together_share_a_transaction(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store must not be the bottleneck: one synchronised commit for each answer would be."""
    batches: list[int] = []
    append = Store.append

    def counted(self: Store, rows: Any) -> None:
        batches.append(len(rows))
        append(self, rows)

    async def slow(_: Any) -> str:
        await asyncio.sleep(0.02)
        return "4"

    monkeypatch.setattr(Store, "append", counted)
    judge = ModelEndpoint(name="judge", provider="scripted", replies=("x",))
    responses = ask(ToyPlan(1_000, (judge,)), providers={"judge": Scripted(slow)})
    assert responses.counts == {"answered": 1_000}
    assert sum(batches) == 1_000
    assert len(batches) < 500
