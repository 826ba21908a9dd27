"""Failures: which are retried, which fail a call, and which stop the run."""

from __future__ import annotations

import asyncio
import socket
import traceback
from email.utils import formatdate
from threading import Event

import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLM, LLMError
from engram_eval.llm.retries import backoff
from tests.llm.conftest import KEY, Client, FakeTime, chat
from tests.llm.server import DROPS, NOT_JSON, TRUNCATED, Server, Step, refuses, says, sends


@pytest.mark.parametrize(
    "step",
    [
        *(refuses(status) for status in (408, 409, 429, 500, 502, 503, 529)),
        DROPS,
        TRUNCATED,
        NOT_JSON,
        Step(body=b""),
        Step(body=b"<html>a proxy is starting</html>"),
        sends([]),
        sends({"choices": []}),
        sends({"choices": [{"message": None}]}),
        sends({"error": {"code": 502, "message": "upstream"}}),
        Step(body=b"\xff\xfe{"),
        Step(body=b"[" * 100_000),
        Step(body=b"x", headers={"content-encoding": "gzip"}),
    ],
)
def test_a_temporary_failure_is_retried_with_growing_waits(client: Client, step: Step) -> None:
    with Server(step, step, step, answer=lambda _: says("fine")) as server:
        if step.body.startswith(b"<"):
            server.script.pop(), server.script.pop()
        assert client.chat(server.url).text == "fine"
    waits = client.time.slept
    assert waits == [0.5, 1.0, 2.0][: len(waits)]
    assert len(server.asked) == len(waits) + 1


def test_after_its_retries_a_call_fails_with_one_sentence(client: Client) -> None:
    with Server(answer=lambda _: refuses(503, "overloaded")) as server, pytest.raises(LLMError) as caught:
        client.chat(server.url, settings={"retries": 2})
    assert str(caught.value) == f"{server.url} answered 503 overloaded (3 attempts)"
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": formatdate(1_700_001_012, usegmt=True)}, 12.0),
        ({"retry-after": formatdate(1_600_000_000, usegmt=True)}, 0.0),
    ],
)
def test_the_wait_that_a_server_requests_is_kept(client: Client, headers: dict[str, str], least: float) -> None:
    with Server(Step(429, b"{}", headers)) as server:
        client.chat(server.url)
    assert client.time.slept == [least + 0.5]


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", "99999999999999999999999999 x", ""])
def test_an_invalid_requested_wait_is_ignored(value: str, fake_time: FakeTime) -> None:
    assert backoff(1, {"retry-after": value}, fake_time.clock) == 0.5


def test_a_requested_wait_of_an_hour_fails_the_call(client: Client) -> None:
    with (
        Server(refuses(429, "come back tomorrow", retry_after="3600")) as server,
        pytest.raises(LLMError, match="tomorrow"),
    ):
        client.chat(server.url)
    assert client.time.slept == []


def test_waits_grow_up_to_a_ceiling(fake_time: FakeTime) -> None:
    waits = [backoff(n, {}, fake_time.clock) for n in range(1, 12)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_a_request_to_a_server_that_hangs_times_out_and_is_retried(client: Client) -> None:
    release = Event()
    hangs = Step(before=lambda: release.wait(5))
    with Server(hangs, says("fine")) as server:
        assert client.chat(server.url, settings={"timeout_s": 0.3}).text == "fine"
        release.set()
    assert len(server.asked) >= 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_fatal_at_once_and_for_all_calls(client: Client, status: int) -> None:
    async def several(llm: LLM) -> list[object]:
        first = await asyncio.gather(chat(llm), return_exceptions=True)
        return [*first, *await asyncio.gather(*(chat(llm, str(i)) for i in range(5)), return_exceptions=True)]

    with Server(answer=lambda _: refuses(status, f"Incorrect API key provided: {KEY}")) as server:
        outcomes = client.run(server.url, several)
    assert len(server.asked) == 1
    assert all(isinstance(outcome, UserError) and "OPENAI_API_KEY" in str(outcome) for outcome in outcomes)
    assert not any(KEY in str(outcome) for outcome in outcomes)


@pytest.mark.parametrize(
    "step",
    [
        refuses(404, "The model `gpt-x` does not exist or you do not have access to it.", code="model_not_found"),
        refuses(404, 'model "gpt-x" not found, try pulling it first'),
        refuses(400, "gpt-x is not a valid model ID"),
        Step(404, b"404 page not found"),
    ],
)
@pytest.mark.parametrize("schema", [None, {"type": "object"}])
def test_an_unknown_model_is_fatal_at_once(client: Client, step: Step, schema: dict[str, str] | None) -> None:
    with Server(answer=lambda _: step) as server, pytest.raises(UserError, match="check the model's name"):
        client.chat(server.url, model="gpt-x", schema=schema)
    assert len(server.asked) == (1 if schema is None or b"page" not in step.body else 3)
    assert client.time.slept == []


def test_a_used_up_quota_is_fatal_at_once(client: Client) -> None:
    step = refuses(429, "You exceeded your current quota", code="insufficient_quota")
    with Server(step) as server, pytest.raises(UserError, match="quota"):
        client.chat(server.url)
    assert client.time.slept == []


def test_ten_failed_calls_in_a_row_stop_the_run(client: Client) -> None:
    async def many(llm: LLM) -> list[BaseException]:
        outcomes: list[BaseException] = []
        for i in range(12):
            try:
                await chat(llm, str(i))
            except (LLMError, UserError) as error:
                outcomes.append(error)
        return outcomes

    with Server(answer=lambda _: refuses(500)) as server:
        outcomes = client.run(server.url, many, retries=1)
    assert [type(outcome) for outcome in outcomes] == [LLMError] * 9 + [UserError] * 3
    assert "resume" in str(outcomes[-1])
    assert len(server.asked) == 20


def test_an_answer_ends_a_streak(client: Client) -> None:
    async def many(llm: LLM) -> list[BaseException]:
        outcomes: list[BaseException] = []
        for i in range(40):
            try:
                await chat(llm, str(i))
            except (LLMError, UserError) as error:
                outcomes.append(error)
        return outcomes

    turns = iter(range(100))
    with Server(answer=lambda _: says("fine") if next(turns) % 9 == 8 else refuses(500)) as server:
        outcomes = client.run(server.url, many, retries=0)
    assert {type(outcome) for outcome in outcomes} == {LLMError}


def test_a_server_that_dies_and_comes_back_loses_no_answer(client: Client) -> None:
    async def two(llm: LLM) -> list[str]:
        first = (await chat(llm, "a")).text
        server.script.extend([DROPS] * 3)
        return [first, (await chat(llm, "b")).text]

    with Server() as server:
        assert client.run(server.url, two) == ["fine", "fine"]


def test_a_server_that_stops_listening_after_an_answer_is_retried(client: Client) -> None:
    server = Server()

    async def two(llm: LLM) -> None:
        with server:
            await chat(llm, "a")
        with pytest.raises(LLMError, match="connection"):
            await chat(llm, "b")

    client.run(server.url, two, retries=3)
    assert len(client.time.slept) == 3


def test_an_address_without_a_server_is_reported_in_one_sentence_without_retries(client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        with pytest.raises(UserError, match=r"cannot be reached \(Connection refused\); check --base-url"):
            client.chat(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert client.time.slept == []


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_error_comes_at_once(client: Client) -> None:
    with pytest.raises(
        UserError, match=r"api\.openai\.com/v1 cannot be reached \(Network is unreachable\); check the network"
    ):
        client.chat("https://api.openai.com/v1")


def test_a_name_server_that_does_not_answer_does_not_hang_the_call(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Event()

    def hang(*_: object, **__: object) -> socket.socket:
        release.wait(10)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    monkeypatch.setattr("engram_eval.llm.reachable._CONNECT_S", 0.1)
    with pytest.raises(UserError, match="cannot be reached"):
        client.chat("http://nowhere.invalid/v1")
    release.set()


def test_https_to_a_server_that_speaks_http_fails_at_once(client: Client) -> None:
    with Server() as server, pytest.raises(UserError, match="cannot be reached"):
        client.chat(server.url.replace("http:", "https:"))
    assert client.time.slept == []


def test_a_web_site_instead_of_an_api_is_reported_at_the_second_page(client: Client) -> None:
    page = Step(body=b"<!doctype html><title>Welcome</title>")
    with Server(answer=lambda _: page) as server, pytest.raises(UserError, match="web page"):
        client.chat(server.url)
    assert len(server.asked) == 2


_ECHOES = [
    *(refuses(status, f"bad {KEY}") for status in (400, 401, 500)),
    says(f"You sent {KEY}"),
    Step(body=f"oops {KEY}".encode()),
    Step(500, f"Bearer {KEY}".encode()),
]


@pytest.mark.parametrize("step", _ECHOES)
def test_the_key_is_in_no_error_no_output_and_no_file(
    client: Client, step: Step, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)

    async def call(llm: LLM) -> str:
        try:
            output = repr(await chat(llm))
        except (LLMError, UserError) as error:
            output = "".join(traceback.format_exception(error)) + str(getattr(error, "raw", ""))
        return output + repr(llm) + repr(vars(llm)) + repr(llm.settings)

    with Server(answer=lambda _: step) as server:
        output = client.run(server.url, call, retries=0)
    out, err = capfd.readouterr()
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in output + out + err + caplog.text
    assert not any(KEY.encode() in path.read_bytes() for path in client.folder.rglob("*") if path.is_file())


def test_a_placeholder_for_a_key_is_not_removed_from_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    with Server(says("The EMPTY box")) as server:
        assert client.chat(server.url).text == "The EMPTY box"


def test_requests_go_through_the_proxy_of_the_environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with Server() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert client.chat("http://model.invalid/v1").text == "fine"
    assert proxy.asked[0].path == "http://model.invalid/v1/chat/completions"


def test_a_proxy_in_front_of_this_machines_own_server_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with Server() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        client.chat("http://127.0.0.1:9/v1")
    said = capsys.readouterr().err
    assert f"go through the proxy 127.0.0.1:{proxy.port}" in said
    assert "NO_PROXY=localhost,127.0.0.1" in said


@pytest.mark.parametrize("key", ["sk-two\nlines", "sk-\N{EN DASH}dash", "sk two"])
def test_an_invalid_key_is_refused_without_repeating_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with Server() as server, pytest.raises(UserError) as caught:
        client.chat(server.url)
    assert key not in str(caught.value)


def test_closing_cancels_calls_in_flight(client: Client) -> None:
    release = Event()

    async def leave(llm: LLM) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.create_task(chat(llm))
        while not server.asked:
            await asyncio.sleep(0.005)
        return task

    with Server(Step(before=lambda: release.wait(5))) as server:
        task = client.run(server.url, leave)
        release.set()
    assert task.cancelled()
