"""Memories that ask a model ingest several conversations at the same time."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.run.plan import plan_run
from engram_eval.run.settings import from_mapping
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import Server, Step, refuses
from tests.model import plays, role_of
from tests.run.interrupting import interrupt_three_calls

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four conversations of two sessions, each in words of its own."""
    path = tmp_path / "locomo.json"
    text = json.dumps(_RECORD)
    path.write_text(f"[{', '.join(text.replace('conv-7', f'c{i}').replace('dog', f'dog {i}') for i in range(4))}]")
    return path


def _command(data: Path, out: Path, server: Server, *arguments: str, backend: str = "engram:batched") -> list[str]:
    model = ["--model", "gpt-4o-mini", "--base-url", server.url, "--max-in-flight", "16"]
    return ["run", "--data", str(data), "--backend", backend, "--no-controls", *model, "--out", str(out), *arguments]


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "records.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda r: str(r["question_id"]))


def test_conversations_ingest_at_the_same_time(data: Path, tmp_path: Path) -> None:
    """No router call about a dog is answered before those of all four conversations have arrived."""
    barrier, met = Barrier(4, timeout=20), list[str]()

    def meet(dog: str) -> None:
        barrier.wait()
        met.append(dog)

    def answer(body: dict[str, Any]) -> Step:
        dog = re.search(r"dog \d", body["messages"][1]["content"])
        if role_of(body) != "router" or not dog:
            return plays()(body)
        return replace(plays()(body), before=partial(meet, dog[0]))

    with Server(answer=answer) as server:
        assert main(_command(data, tmp_path / "run", server)) == 0
    assert sorted(met) == ["dog 0", "dog 1", "dog 2", "dog 3"]
    assert {record["status"] for record in _records(tmp_path / "run")} == {"ok"}


@pytest.mark.parametrize("backend", ["engram:batched", "engram:paper"])
def test_each_conversation_has_its_own_cost_however_many_ingest_at_a_time(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    costs = []
    for in_flight in ("1", "16"):
        monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / f"cache{in_flight}"))
        with Server(answer=plays()) as server:
            run = tmp_path / in_flight
            assert main(_command(data, run, server, "--max-in-flight", in_flight, backend=backend)) == 0
        costs.append({r["conversation_id"]: r["ingest_cost_usd"] for r in _records(run)})
        usage = json.loads((run / "manifest.json").read_text())["usage"]
        assert sum(costs[-1].values()) == pytest.approx(
            sum(usage[role]["cost_usd"] for role in ("router", "extractor"))
        )
    assert costs[0] == costs[1]


def test_with_one_call_in_flight_a_conversation_is_finished_before_the_next_begins(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert main(_command(data, tmp_path / "run", server, "--max-in-flight", "1")) == 0
        assert server.most_at_once == 1
    roles = [role_of(asked.body) for asked in server.asked]
    assert roles.index("reader") < len(roles) - roles[::-1].index("router")  # the last router call comes after answers


def test_a_server_on_this_machine_gets_one_conversation_after_the_other_unless_the_user_says_more(data: Path) -> None:
    def ahead(url: str, in_flight: int | None) -> bool:
        settings = {"data": str(data), "backends": ["engram:paper"], "reader": "offline", "judge": "offline"}
        given = {**settings, "base_url": url, "model": "m", "max_in_flight": in_flight}
        return plan_run(from_mapping(given, "test"), dry=True).ingests_ahead

    assert not ahead("http://127.0.0.1:9/v1", None)
    assert ahead("http://127.0.0.1:9/v1", 8)
    assert ahead("http://models.example/v1", None)
    assert not ahead("http://models.example/v1", 1)


def test_memories_of_one_conversation_share_their_calls(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        flags = ["--backend", "engram:paper-untyped", "--backend", "engram:paper-semantic"]
        assert main(_command(data, tmp_path / "run", server, *flags, backend="engram:paper")) == 0
        sent = Counter(json.dumps(asked.body, sort_keys=True) for asked in server.asked)
    assert max(sent.values()) == 1
    assert len(_records(tmp_path / "run")) == 3 * 16


def test_an_ingestion_that_fails_costs_its_own_conversation_only(data: Path, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Step:
        if role_of(body) == "router" and "dog 2" in body["messages"][1]["content"]:
            return refuses(400, "bad request")
        return plays()(body)

    with Server(answer=answer) as server:
        assert main(_command(data, tmp_path / "run", server)) == 3
    statuses = {(r["conversation_id"], r["status"]) for r in _records(tmp_path / "run")}
    assert statuses == {("c0", "ok"), ("c1", "ok"), ("c2", "error"), ("c3", "ok")}


def test_ctrl_c_during_ingestion_starts_no_call_and_loses_none(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Server(answer=plays()) as server:
        command = _command(data, run, server, "--max-in-flight", "3", backend="engram:paper")
        interrupt_three_calls([sys.executable, "-m", "engram_eval", *command], server)
        assert len(server.asked) <= 6  # the three in flight, and at most those that waited for them at the client
        assert main(["run", "--resume", str(run)]) == 0
        sent = Counter(json.dumps(asked.body, sort_keys=True) for asked in server.asked)
    assert max(sent.values()) == 1
    assert len(_records(run)) == 16
