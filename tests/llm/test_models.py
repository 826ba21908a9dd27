"""The list of models that a server has."""

from __future__ import annotations

import socket
from threading import Event
from typing import Any

import pytest

from engram_eval.errors import UserError
from tests.llm.conftest import KEY, Client
from tests.llm.server import DROPS, NOT_JSON, TRUNCATED, Server, Step, refuses, says, sends


@pytest.mark.parametrize(
    ("listed", "ids"),
    [
        ({"object": "list", "data": [{"id": "qwen3", "object": "model"}, {"id": "phi4"}]}, ["qwen3", "phi4"]),
        ([{"id": "qwen3"}], ["qwen3"]),
        ({"data": [{"id": "qwen3"}, {"id": 3}, {"id": ""}, {}, "phi4", None]}, ["qwen3"]),
        ({"data": [{"id": "x\ud83d"}]}, ["x?"]),
        ({"data": []}, []),
        ({"data": None}, []),
        ({"models": ["qwen3"]}, []),
        ("qwen3", []),
        (None, []),
    ],
)
def test_only_valid_ids_of_the_list_are_returned(client: Client, listed: Any, ids: list[str]) -> None:
    with Server(sends(listed)) as server:
        assert client.run(server.url, lambda llm: llm.models()) == ids
    assert server.asked[0].path == "/v1/models"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "step",
    [
        *(refuses(status) for status in (401, 404, 405, 500)),
        DROPS,
        TRUNCATED,
        NOT_JSON,
        says("fine"),
        Step(body=b""),
        Step(body=b"<!doctype html>"),
        Step(body=b"\xff\xfe"),
        Step(body=b"[" * 100_000),
        Step(body=b"x", headers={"content-encoding": "gzip"}),
    ],
)
def test_a_server_without_a_list_of_models_gives_none(client: Client, step: Step) -> None:
    with Server(answer=lambda _: step) as server:
        assert client.run(server.url, lambda llm: llm.models()) == []
    assert client.time.slept == []


def test_a_server_that_hangs_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram_eval.llm.transport._LIST_S", 0.2)
    release = Event()
    with Server(Step(before=lambda: release.wait(5))) as server:
        assert client.run(server.url, lambda llm: llm.models()) == []
        release.set()


def test_an_address_without_a_server_is_reported_in_one_sentence(client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"cannot be reached \(Connection refused\); check --base-url"):
            client.run(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", lambda llm: llm.models())


def test_a_replay_sends_no_request(client: Client) -> None:
    with Server(sends({"data": [{"id": "qwen3"}]})) as server:
        assert client.run(server.url, lambda llm: llm.models(), replay=True) == []
    assert server.asked == []
