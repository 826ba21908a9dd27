"""Embeddings: requested in batches, cached by text, returned in order."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram_eval.llm import LLM, CacheMiss, Embedded, LLMError, ResponseCache
from engram_eval.llm.cache.response_cache import FILE_NAME, Vector
from engram_eval.llm.embeddings import Vectors
from tests.llm.conftest import Client
from tests.llm.server import Server, Step, refuses, sends

MODEL = "text-embedding-3-small"


def _vector(text: str) -> list[float]:
    return [float(len(text)), float(ord(text[0])), 0.5]


def _answers(body: dict[str, Any], *, floats: bool = False) -> Step:
    rows = [
        {
            "index": index,
            "embedding": _vector(text)
            if floats or "encoding_format" not in body
            else base64.b64encode(np.array(_vector(text), "<f4").tobytes()).decode(),
        }
        for index, text in enumerate(body["input"])
    ]
    return sends({"data": rows[::-1], "usage": {"prompt_tokens": 10 * len(rows), "total_tokens": 10 * len(rows)}})


async def _embedded(llm: LLM, *texts: str) -> Embedded:
    return await llm.embed(role="embedder", model=MODEL, texts=texts)


async def _embed(llm: LLM, *texts: str) -> Vectors:
    return (await _embedded(llm, *texts)).vectors


@pytest.mark.parametrize("floats", [False, True])
def test_rows_come_in_the_order_of_the_texts(client: Client, floats: bool) -> None:
    with Server(answer=lambda body: _answers(body, floats=floats)) as server:
        rows = client.run(server.url, lambda llm: _embed(llm, "a", "ccc", "bb", "a", " "))
    assert rows.dtype == np.float32
    assert rows.tolist() == [_vector("a"), _vector("ccc"), _vector("bb"), _vector("a"), [0, 0, 0]]
    assert server.asked[0].path == "/v1/embeddings"
    assert server.asked[0].body["input"] == ["a", "ccc", "bb"]


def test_a_text_is_sent_once_even_if_a_later_batch_holds_it_again(client: Client) -> None:
    async def main(llm: LLM) -> dict[str, dict[str, float]]:
        await _embed(llm, "a", "b")
        await _embed(llm, "b", "c")
        return llm.usage()

    with Server(answer=_answers) as server:
        usage = client.run(server.url, main)["embedder"]
        first = client.run(server.url, lambda llm: _embed(llm, "c", "a"))
        replayed = client.run(server.url, lambda llm: _embed(llm, "c", "a"), replay=True)
        with pytest.raises(CacheMiss, match="'d'"):
            client.run(server.url, lambda llm: _embed(llm, "c", "d"), replay=True)
    assert [asked.body["input"] for asked in server.asked] == [["a", "b"], ["c"]]
    assert (first == replayed).all()
    assert (usage["calls"], usage["cached"], usage["prompt_tokens"]) == (3, 1, 40)
    assert usage["cost_usd"] == pytest.approx(40 * 0.02 / 1e6)
    assert usage["spent_usd"] == pytest.approx(30 * 0.02 / 1e6)


def test_texts_in_two_simultaneous_calls_are_sent_once(client: Client) -> None:
    async def both(llm: LLM) -> tuple[Vectors, Vectors]:
        return await asyncio.gather(_embed(llm, "a", "b"), _embed(llm, "b", "c"))

    with Server(answer=_answers) as server:
        first, second = client.run(server.url, both)
    assert (first[1] == second[0]).all()
    assert sorted(text for asked in server.asked for text in asked.body["input"]) == ["a", "b", "c"]


def test_many_texts_are_sent_in_batches(client: Client) -> None:
    texts = [f"{i} " + "x" * (60_000 if i < 8 else 5) for i in range(600)]
    with Server(answer=_answers) as server:
        rows = client.run(server.url, lambda llm: _embed(llm, *texts))
    assert rows[:, 0].tolist() == [len(text) for text in texts]
    sizes = [len(asked.body["input"]) for asked in server.asked]
    assert max(sizes) <= 256
    assert max(sum(map(len, asked.body["input"])) for asked in server.asked) <= 200_000


def test_a_server_that_does_not_support_base64_is_asked_for_numbers(client: Client) -> None:
    def answer(body: dict[str, Any]) -> Step:
        return refuses(400, "unknown field encoding_format") if "encoding_format" in body else _answers(body)

    async def twice(llm: LLM) -> Vectors:
        await _embed(llm, "a")
        return await _embed(llm, "b")

    with Server(answer=answer) as server:
        assert client.run(server.url, twice).tolist() == [_vector("b")]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [None]}],
        [{"index": 0, "embedding": "AAA"}, {"index": 1, "embedding": "AAAA"}],
        [{"index": 0}, {"index": 1}],
        "nonsense",
    ],
)
def test_a_reply_without_one_vector_for_each_text_is_retried(client: Client, data: Any) -> None:
    with Server(sends({"data": data}), answer=_answers) as server:
        assert len(client.run(server.url, lambda llm: _embed(llm, "a", "b"))) == 2
    assert len(client.time.slept) == 1


def test_a_failed_batch_fails_the_call_but_the_other_batches_are_cached(client: Client) -> None:
    def answer(body: dict[str, Any]) -> Step:
        return refuses(500) if "bad" in body["input"] else _answers(body)

    texts = [*map(str, range(256)), "bad"]
    with Server(answer=answer) as server:
        with pytest.raises(LLMError):
            client.run(server.url, lambda llm: _embed(llm, *texts), retries=2, max_in_flight=1)
        client.run(server.url, lambda llm: _embed(llm, *texts[:256]), replay=True)


def test_blank_texts_give_zero_rows_of_the_models_width(client: Client) -> None:
    with Server(answer=_answers) as server:
        assert client.run(server.url, lambda llm: _embed(llm, "", " ")).tolist() == [[0, 0, 0]] * 2
        assert client.run(server.url, lambda llm: _embed(llm)).shape == (0, 0)


def _takes(client: Client, seconds: float, body: dict[str, Any]) -> Step:
    """The client's clock advances while the server works."""
    client.time.now += seconds
    return _answers(body)


def test_each_text_has_a_share_of_its_request_and_the_shares_add_up(client: Client) -> None:
    async def main(llm: LLM) -> list[Embedded]:
        return [await _embedded(llm, *texts) for texts in (("a", "bbb"), ("a",), ("bbb", "bbb"), ("bbb", "cccc"))]

    with Server(answer=lambda body: _takes(client, 2.0, body)) as server:
        both, a, b, more = client.run(server.url, main)
        replayed = client.run(server.url, lambda llm: _embedded(llm, "cccc", "bbb", "a"), replay=True)
    assert [(e.prompt_tokens, e.latency_s, e.cached) for e in (both, a, b, more, replayed)] == [
        (20, 2.0, False),
        (5, 0.5, True),
        (15, 1.5, True),
        (25, 3.5, False),
        (30, 4.0, True),
    ]
    assert [e.cost_usd for e in (both, a, b, more)] == pytest.approx([t * 0.02 / 1e6 for t in (20, 5, 15, 25)])


def test_a_blank_text_costs_nothing_alone_or_with_others(client: Client) -> None:
    async def main(llm: LLM) -> tuple[list[Embedded], dict[str, dict[str, float]]]:
        return [await _embedded(llm, *texts) for texts in ((), (" ",), (" ",), ("a", ""))], llm.usage()

    with Server(answer=lambda body: _takes(client, 2.0, body)) as server:
        results, usage = client.run(server.url, main)
    assert [(e.prompt_tokens, e.latency_s, e.cached) for e in results] == [
        (0, 0.0, True),
        (0, 0.0, False),
        (0, 0.0, True),
        (10, 2.0, False),
    ]
    assert results[1].cost_usd == 0.0
    assert usage["embedder"]["spent_usd"] == pytest.approx(20 * 0.02 / 1e6)  # requests that were sent were paid for


def test_texts_that_another_call_is_embedding_are_not_sent_again_and_have_their_own_share(client: Client) -> None:
    async def both(llm: LLM) -> tuple[Embedded, Embedded]:
        return await asyncio.gather(_embedded(llm, "a", "bbb"), _embedded(llm, "bbb"))

    with Server(answer=lambda body: _takes(client, 2.0, body)) as server:
        first, second = client.run(server.url, both)
    assert (first.latency_s, first.cached, second.latency_s, second.cached) == (2.0, False, 1.5, True)


def test_two_processes_with_different_vectors_both_return_the_first(tmp_path: Path) -> None:
    caches = ResponseCache(tmp_path / FILE_NAME), ResponseCache(tmp_path / FILE_NAME)
    first, second = (Vector(np.array([x], np.float32), 1, 0.5) for x in (1, 2))
    for cache, vector in zip(caches, (first, second), strict=True):
        kept = cache.put_vectors({b"k": vector}, endpoint="e", model="m")
        assert kept[b"k"].values.tolist() == [1]
        cache.close()
