"""Replaying an earlier run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from asking import TOY, ToyPlan

from psymetric.administration.administer import administer
from psymetric.errors import ProviderError, StoreError, StudyError
from psymetric.providers.base import ModelEndpoint, Reply, Usage
from psymetric.providers.replay import Replay, from_endpoint, record_reply, reply_record
from psymetric.providers.scripted import Scripted

JUDGE = ModelEndpoint(name="judge", provider="scripted", replies=("1", "2", "3"))


def ask(provider: Replay, key: str) -> Reply:
    async def once() -> Reply:
        async with httpx.AsyncClient() as client:
            return await provider.ask(TOY, client, key=key)

    return asyncio.run(once())


def test_replies_survive_the_store() -> None:
    reply = Reply("é\n", "stop", "no", (("1", -0.5), (" 2", -1.25)), Usage(3, None), "m", 0.5, {"model": "m", "n": [1]})
    assert record_reply(reply_record(reply)) == reply


def test_same_plan_gives_the_same_answers(tmp_path: Path) -> None:
    plan = ToyPlan(7, (JUDGE,))
    first = administer(plan, store=tmp_path / "a.db", progress=False)
    again = administer(
        plan, store=tmp_path / "b.db", providers={"judge": Replay(f"sqlite:///{tmp_path / 'a.db'}")}, progress=False
    )
    assert again.frame["category"].tolist() == first.frame["category"].tolist()
    assert set(again.counts) == {"answered"}


def test_jsonl_exports_are_replayed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"key": "k", "final": True, "text": "4"}, {"key": "gone", "final": False, "text": ""}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert ask(Replay(path), "k").text == "4"
    with pytest.raises(ProviderError, match="no stored reply for request gone"):
        ask(Replay(path), "gone")


def test_unknown_request_is_not_asked_again(tmp_path: Path) -> None:
    asked = administer(
        ToyPlan(2, (JUDGE,)), store=tmp_path / "a.db", providers={"judge": Replay({})}, progress=False, throw=False
    )
    assert asked.counts == {"transport": 2}
    assert asked.frame["attempts"].tolist() == [1, 1]


@pytest.mark.parametrize(("name", "content"), [("gone.db", None), ("x.jsonl", "{"), ("x.db", "not a database at all")])
def test_unreadable_sources_are_store_errors(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(StoreError, match=r"replay: (cannot read|no store at)"):
        Replay(tmp_path / name)


def test_endpoint_needs_a_source() -> None:
    with pytest.raises(StudyError, match="needs source"):
        from_endpoint(ModelEndpoint(name="j", provider="replay"))


def test_scripted_and_replay_share_the_protocol() -> None:
    assert Scripted(["1"]).name == "scripted"
    assert Replay({}).name == "replay"
