"""What a server says about itself: its models and how long their contexts are."""

from __future__ import annotations

import socket
from threading import Event
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLM
from engram_eval.llm.model_names import is_same_model, shown_model
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
    with _lists(sends(listed)) as server:
        assert client.run(server.url, _ids) == ids
    assert server.looked_up[0].path == "/v1/models"
    assert server.looked_up[0].headers["authorization"] == f"Bearer {KEY}"


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
    with _lists(step) as server:
        assert client.run(server.url, _ids) == []
    assert client.time.slept == []


def test_a_server_that_hangs_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram_eval.llm.transport._LIST_S", 0.2)
    release = Event()
    with _lists(Step(before=lambda: release.wait(5))) as server:
        assert client.run(server.url, _ids) == []
        release.set()


def test_an_address_without_a_server_is_reported_in_one_sentence(client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"cannot be reached \(Connection refused\); check --base-url"):
            client.run(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", _ids)


def test_a_replay_asks_nothing_and_knows_what_the_server_said_last(client: Client) -> None:
    with _lists(sends({"data": [{"id": "qwen3"}]})) as server:
        assert client.run(server.url, _ids) == ["qwen3"]
        assert client.run(server.url, _ids, replay=True) == ["qwen3"]
    assert len(server.looked_up) == 1


@pytest.mark.parametrize(
    ("entry", "length"),
    [
        ({"owned_by": "vllm", "max_model_len": 32768}, 32768),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 8192}}, 4096),
        ({"loaded_context_length": 4096, "max_context_length": 131072}, 4096),
        ({"context_length": 200_000}, 200_000),
        ({"context_length": "8k"}, None),
        ({"max_model_len": 0}, None),
        ({"max_model_len": True}, None),
        ({"meta": None}, None),
        ({}, None),
    ],
)
def test_the_length_of_a_models_context_is_known_under_the_names_that_servers_use(
    client: Client, entry: dict[str, Any], length: int | None
) -> None:
    with _lists(sends({"data": [{"id": "a", **entry}]})) as server:
        info = client.run(server.url, lambda llm: llm.server_info())
    assert info.context_length("a") == length
    assert info.context_length("any other name") == length, "the only model answers to any name"


def test_of_several_models_only_the_named_ones_length_counts(client: Client) -> None:
    listed = {"data": [{"id": "a", "max_model_len": 4096}, {"id": "b", "max_model_len": 8192}]}
    with _lists(sends(listed)) as server:
        info = client.run(server.url, lambda llm: llm.server_info())
    assert (info.context_length("b"), info.context_length("c")) == (8192, None)


def test_openai_is_not_asked_about_itself(client: Client) -> None:
    assert client.run("https://api.openai.com/v1", _ids) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/ann/models/SmolLM2.Q4_1.gguf", "SmolLM2.Q4_1.gguf"),
        ("C:\\Users\\ann\\phi4.gguf", "phi4.gguf"),
        ("~/models/qwen3", "qwen3"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("qwen3:8b", "qwen3:8b"),
        ("/", "/"),
    ],
)
def test_a_path_is_shown_as_the_name_of_its_file(name: str, shown: str) -> None:
    assert shown_model(name) == shown


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", True),
        ("openai/gpt-4o-mini", "gpt-4o-mini", True),
        ("/m/phi4.gguf", "phi4.gguf", True),
        ("qwen3:latest", "qwen3", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-mini", "phi4.gguf", False),
        ("gpt-4o-mini", "", True),
    ],
)
def test_a_model_that_answers_under_its_own_longer_name_is_the_same(asked: str, served: str, same: bool) -> None:
    assert is_same_model(asked, served) is same


def _lists(models: Step) -> Server:
    return Server(says_of_itself={"/v1/models": models})


async def _ids(llm: LLM) -> list[str]:
    return [model.id for model in (await llm.server_info()).models]
