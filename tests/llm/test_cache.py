"""The response cache: no paid-for answer is lost, and none is paid for twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLM, CacheMiss, LLMError, ResponseCache
from engram_eval.llm.cache.response_cache import Contents, Response, Vector, cache_file
from tests.llm.conftest import Client, chat
from tests.llm.server import Server, Step, says


def _file(client: Client) -> Path:
    return cache_file(client.folder)


def test_a_repeated_call_sends_nothing_and_returns_the_same(client: Client) -> None:
    with Server(says("Paris", prompt=70, completion=3)) as server:
        first = client.chat(server.url)
        again = client.chat(server.url)
    assert len(server.asked) == 1
    assert again.cached
    assert (again.text, again.prompt_tokens, again.completion_tokens) == ("Paris", 70, 3)
    assert (again.cost_usd, again.latency_s) == (first.cost_usd, first.latency_s)


SCHEMA = {"type": "object", "properties": {"a": {}, "b": {}}}


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "ho"}]},
        {"messages": [{"role": "system", "content": "hi"}]},
        {"model": "gpt-4o"},
        {"max_tokens": 1025},
        {"repeat": 1},
        {"schema": SCHEMA},
    ],
)
def test_everything_that_decides_the_answer_makes_another_request(client: Client, other: dict[str, Any]) -> None:
    with Server(answer=lambda _: says("{}")) as server:
        client.chat(server.url)
        assert not client.chat(server.url, **other).cached


def test_another_endpoint_makes_another_request_and_another_role_does_not(client: Client) -> None:
    with Server() as server, Server() as second:
        client.chat(server.url, role="reader")
        assert client.chat(server.url + "/", role="judge").cached
        assert not client.chat(second.url).cached


def test_the_order_of_a_schemas_properties_makes_another_request(client: Client) -> None:
    turned = {"type": "object", "properties": {"b": {}, "a": {}}}
    with Server(answer=lambda _: says("{}")) as server:
        client.chat(server.url, schema=SCHEMA)
        assert not client.chat(server.url, schema=turned).cached


def test_simultaneous_equal_requests_are_sent_once(client: Client) -> None:
    async def both(llm: LLM) -> list[bool]:
        return [c.cached for c in await asyncio.gather(chat(llm), chat(llm), chat(llm, "other"))]

    with Server() as server:
        assert client.run(server.url, both) == [False, True, False]
    assert len(server.asked) == 2


def test_one_of_two_callers_of_the_same_request_may_be_cancelled(client: Client) -> None:
    release = Event()

    async def main(llm: LLM) -> str:
        first, second = asyncio.create_task(chat(llm)), asyncio.create_task(chat(llm))
        while not server.asked:
            await asyncio.sleep(0.005)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        release.set()
        return (await second).text

    with Server(Step(body=says("fine").body, before=lambda: release.wait(5))) as server:
        assert client.run(server.url, main) == "fine"
    assert len(server.asked) == 1


def test_a_request_without_callers_is_cancelled_and_can_be_sent_again(client: Client) -> None:
    async def main(llm: LLM) -> str:
        task = asyncio.create_task(chat(llm))
        await asyncio.sleep(0)
        task.cancel()
        return (await chat(llm)).text

    with Server() as server:
        assert client.run(server.url, main) == "fine"
    assert len(server.asked) == 1


_FAULTY = [
    (says("The", finish="length"), None, "cut off"),
    (says("The", finish="MAX_TOKENS"), None, "cut off"),
    (says("No", finish="content_filter"), None, "refused"),
    (says("No", finish="SAFETY"), None, "refused"),
    (says("The", finish="tool_calls"), None, "for the reason 'tool_calls'"),
    (says("The", finish="error"), None, "for the reason 'error'"),
    (says("prose"), {"type": "object"}, "not the JSON that was requested"),
    (says("<think>so"), None, "reasoning that does not end"),
]


@pytest.mark.parametrize(("faulty", "schema", "why"), _FAULTY)
def test_a_reply_that_is_no_answer_is_asked_for_again_but_a_replay_gives_the_same_error(
    client: Client, faulty: Step, schema: dict[str, Any] | None, why: str
) -> None:
    with Server(faulty, says("{}")) as server:
        for replay in (False, True):
            with pytest.raises(LLMError, match=why):
                client.chat(server.url, schema=schema, settings={"replay": replay})
        assert client.chat(server.url, schema=schema).text == "{}"
        assert client.chat(server.url, schema=schema).cached
        assert client.chat(server.url, schema=schema, settings={"replay": True}).text == "{}"
    assert len(server.asked) == 2


def test_the_answers_of_a_role_can_be_asked_for_again(client: Client) -> None:
    async def both(llm: LLM) -> list[str]:
        return [(await chat(llm, role=role)).text for role in ("reader", "judge", "reader")]

    with Server(says("old"), says("new")) as server:
        client.chat(server.url)
        assert client.run(server.url, both, refresh={"reader": time.time()}) == ["new", "new", "new"]
        assert client.run(server.url, both, refresh={}) == ["new", "new", "new"]
    assert len(server.asked) == 2


def test_two_processes_replace_a_faulty_answer_by_the_first_good_one(tmp_path: Path) -> None:
    caches = ResponseCache(cache_file(tmp_path)), ResponseCache(cache_file(tmp_path))
    cut, first, second = (Response(text, "stop", 1, 0, 1, 0.5) for text in ("cut", "first", "second"))
    kept = caches[0].put(b"k", cut, endpoint="e", model="m")
    assert caches[0].put(b"k", first, endpoint="e", model="m", instead_of=kept) == first
    assert caches[1].put(b"k", second, endpoint="e", model="m", instead_of=kept) == first
    for cache in caches:
        cache.close()


def test_a_file_of_an_earlier_version_is_read_and_gets_the_new_columns(tmp_path: Path) -> None:
    path = cache_file(tmp_path)
    ResponseCache(path).close()
    with sqlite3.connect(path) as db:
        for column in ("served_model", "first_token_s"):
            db.execute(f"ALTER TABLE responses DROP COLUMN {column}")
        db.execute("DROP TABLE servers")
        db.execute("INSERT INTO responses VALUES (?, 'old', 'stop', 1, 0, 1, 0.5, 'e', 'm', 1.0)", (b"k",))
    db.close()
    old = Response("old", "stop", 1, 0, 1, 0.5)
    for read_only in (True, False):
        cache = ResponseCache(path, read_only=read_only)
        assert cache.get(b"k") == old
        assert cache.get_server("e") is None
        cache.close()
    cache = ResponseCache(path)
    new = Response("new", "stop", 1, 0, 1, 0.5, "m-2025", 0.25)
    assert cache.put(b"n", new, endpoint="e", model="m") == new
    cache.close()


def test_an_empty_answer_is_not_cached(client: Client) -> None:
    with Server(says("")) as server:
        with pytest.raises(LLMError):
            client.chat(server.url)
        assert client.chat(server.url).text == "fine"


def test_a_replay_sends_nothing_needs_no_key_and_names_a_missing_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as server:
        first = client.chat(server.url)
        before = _file(client).read_bytes()
        monkeypatch.delenv("OPENAI_API_KEY")
        again = client.chat(server.url, settings={"replay": True})
        with pytest.raises(CacheMiss, match=r"gpt-4o-mini at http://127.* judge call"):
            client.chat(server.url, "ho", role="judge", settings={"replay": True})
    assert len(server.asked) == 1
    assert (again.text, again.latency_s, again.cached) == (first.text, first.latency_s, True)
    assert _file(client).read_bytes() == before


def test_a_replay_without_a_cache_fails_and_makes_no_file(client: Client) -> None:
    with pytest.raises(CacheMiss):
        client.chat("https://api.openai.com/v1", settings={"replay": True})
    assert not client.folder.exists()


def test_a_replay_from_a_broken_cache_fails_in_one_sentence(client: Client) -> None:
    _file(client).parent.mkdir(parents=True)
    _file(client).write_bytes(b"not a database, whatever its name is" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        client.chat("https://api.openai.com/v1", settings={"replay": True})


def test_an_unwritable_cache_loses_no_answer_and_is_reported_once(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    _file(client).parent.mkdir(parents=True)
    _file(client).write_bytes(b"not a database, whatever its name is" * 100)

    async def several(llm: LLM) -> list[bool]:
        return [(await chat(llm, text)).cached for text in "aba"]

    with Server() as server:
        assert client.run(server.url, several) == [False, False, True]
    assert capsys.readouterr().err.count("\n") == 1


def test_answers_that_a_full_disk_refused_are_written_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cache_file(tmp_path)
    cache = ResponseCache(path)
    assert cache._db is not None
    pages = cache._db.execute("PRAGMA page_count").fetchone()[0]
    cache._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"
    big = Response("x" * 20_000, "stop", 1, 0, 1, 0.5)
    assert cache.put(b"a", big, endpoint="e", model="m") == big
    assert cache.get(b"a") == big
    cache._db.execute("PRAGMA max_page_count = 100000")
    cache.put(b"b", big, endpoint="e", model="m")
    cache.close()
    assert "full" in capsys.readouterr().err
    after = ResponseCache(path)
    assert after.get(b"a") == after.get(b"b") == big
    after.close()


def test_two_processes_with_different_answers_both_return_the_first(tmp_path: Path) -> None:
    caches = ResponseCache(cache_file(tmp_path)), ResponseCache(cache_file(tmp_path))
    first, second = Response("first", "stop", 1, 0, 1, 0.5), Response("second", "stop", 1, 0, 1, 0.7)
    assert caches[0].put(b"k", first, endpoint="e", model="m") == first
    assert caches[1].put(b"k", second, endpoint="e", model="m") == first
    for cache in caches:
        cache.close()


def test_contents_are_summed_by_endpoint_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ResponseCache(cache_file(tmp_path))
    times = iter([100.0, 200.0, 300.0, 400.0])
    monkeypatch.setattr("time.time", lambda: next(times))
    cache.put(b"1", Response("a", "stop", 10, 4, 2, 0.5), endpoint="e", model="m")
    cache.put(b"2", Response("b", "stop", 20, 0, 3, 0.5), endpoint="e", model="m")
    cache.put(b"3", Response("c", "stop", 1, 0, 1, 0.5), endpoint="d", model="m")
    vectors = {key: Vector(np.ones(2, np.float32), 7, 0.1) for key in (b"4", b"5")}
    cache.put_vectors(vectors, endpoint="e", model="m")
    assert cache.contents() == [
        Contents("d", "m", 1, 0, 1, 0, 1, 300.0, 300.0),
        Contents("e", "m", 2, 2, 44, 4, 5, 100.0, 400.0),
    ]
    cache.close()


def test_the_keys_of_all_returned_answers_are_known_cached_or_not(client: Client) -> None:
    async def main(llm: LLM) -> frozenset[bytes]:
        await chat(llm, "a")
        await chat(llm, "a")
        for text in ("cut", "blank"):
            with pytest.raises(LLMError):
                await chat(llm, text)
        return llm.take_used_keys()

    with Server(says("x"), says("y", finish="length"), says("")) as server:
        keys = client.run(server.url, main)
        assert len(keys) == 2  # a blank answer is not cached
        replayed = client.run(server.url, lambda llm: _keys(llm, "a"), replay=True)
    assert replayed < keys
    cache = ResponseCache(_file(client), read_only=True)
    assert all(cache.get(key) for key in keys)
    cache.close()


async def _keys(llm: LLM, text: str) -> frozenset[bytes]:
    await chat(llm, text)
    return llm.take_used_keys()


_WORKER = """
import asyncio, sys
from pathlib import Path
from engram_eval.llm import LLM, LLMSettings

async def main(url, folder, first, last):
    llm = LLM(LLMSettings(base_url=url, max_in_flight=4), Path(folder))
    async def ask(i):
        await llm.chat(role="reader", model="m", messages=[{"role": "user", "content": str(i)}])
        print(i, flush=True)
    await asyncio.gather(*(ask(i) for i in range(int(first), int(last))))
    await llm.close()

asyncio.run(main(*sys.argv[1:]))
"""


def _worker(server: Server, client: Client, first: int, last: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-W", "error", "-c", _WORKER, server.url, str(client.folder), str(first), str(last)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_share_one_cache(client: Client) -> None:
    with Server(says("fine", finish="stop"), says("fine")) as server:
        workers = [_worker(server, client, 0, 30), _worker(server, client, 15, 45)]
        for worker in workers:
            _, errors = worker.communicate(timeout=30)
            assert (worker.returncode, errors) == (0, b"")
        sent = len(server.asked)
        assert sent <= 60

        async def all_again(llm: LLM) -> list[bool]:
            return [(await chat(llm, str(i), model="m")).cached for i in range(45)]

        assert all(client.run(server.url, all_again))
        assert len(server.asked) == sent


def test_a_killed_process_loses_no_answer_that_it_received(client: Client) -> None:
    """Answers 1 to 20 arrive, the rest hang, and the process is killed. None of the 20 is requested again."""
    release = Event()
    asked = iter(range(1, 1000))

    def answer(_: dict[str, Any]) -> Step:
        return says("fine") if next(asked) <= 20 else Step(body=says("late").body, before=lambda: release.wait(10))

    with Server(answer=answer) as server:
        worker = _worker(server, client, 0, 40)
        assert worker.stdout is not None
        handed_over = {int(worker.stdout.readline()) for _ in range(20)}
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=10)
        release.set()
        before = len(server.asked)

        async def all_again(llm: LLM) -> set[int]:
            return {i for i in range(40) if (await chat(llm, str(i), model="m")).cached}

        assert client.run(server.url, all_again) == handed_over
        assert len(server.asked) == before + 20
    assert worker.returncode == -signal.SIGKILL
