"""A memory on a server: it equals the same memory in this process, and its faults are one sentence each."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs.write_memory_api import PAGE, memory_api
from engram_eval.backends.backend import Services
from engram_eval.backends.remote import http
from engram_eval.backends.remote.memory import RemoteMemory
from engram_eval.backends.remote.protocol import LONGEST_REPLY, RemoteError
from engram_eval.cli.main import main
from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder
from engram_eval.run.addresses import reach
from engram_eval.types import Context, Conversation
from tests.backends.remote.processes import first_hit, talk
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import DROPS, Server, Step, sends

_EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "remote"
_KEY = "memory-key-2b7e9d10"
_WORDS = "tests.backends.remote.words:WordsBackend"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.delenv(http.KEY_VARIABLE, raising=False)


def message_of(body: dict[str, Any]) -> str:
    """Which message a request is. `ready` and `close` have no fields."""
    fields = {"conversation": "open", "session": "ingest", "query": "retrieve"}
    return next((name for field, name in fields.items() if field in body), "ready")


def memory(info: Step | None = None, **steps: Step) -> Server:
    """A server that answers a message with the given step, and any other well."""
    good = {
        "open": sends({}),
        "ingest": sends({}),
        "ready": sends({"ready": True}),
        "retrieve": sends({"hits": ["fine"]}),
    }

    def answer(body: dict[str, Any]) -> Step:
        return {**good, **steps}[message_of(body)]

    return Server(answer=answer, says_of_itself={"/v1/info": info or sends({"protocol": 1})})


def url_of(server: Server) -> str:
    return server.url.removesuffix("/v1")


@contextmanager
def _started(command: Sequence[str]) -> Iterator[str]:
    """The URL that an example server prints."""
    process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _run_examples(tmp_path: Path, *addresses: str) -> list[list[dict[str, Any]]]:
    backends = [argument for address in (_WORDS, *addresses) for argument in ("--backend", address)]
    data = ["--dataset", "synthetic", "--set", "dataset.conversations=2", "--limit", "8", "--budget", "150"]
    roles = ["--reader", "offline", "--judge", "offline", "--no-controls"]
    assert main(["run", *data, *roles, *backends, "--out", str(tmp_path / "run")]) == 0
    run = RunFolder(tmp_path / "run")
    return [
        [
            {key: value for key, value in record.to_json().items() if not key.endswith("_s") and key != "backend"}
            for record in run.records()
            if record.backend == label
        ]
        for label in run.manifest().backends
    ]


def test_the_examples_in_python_are_measured_like_the_same_memory_in_this_process(tmp_path: Path) -> None:
    with _started([sys.executable, str(_EXAMPLES / "memory_server.py")]) as url:
        worker = f"worker:{sys.executable} {_EXAMPLES / 'memory_worker.py'}"
        in_process, at_server, in_worker = _run_examples(tmp_path, url, worker)
    assert in_process == at_server == in_worker
    assert any(record["retrieved"] for record in in_process)


def test_the_example_for_node_is_measured_like_the_same_memory_in_this_process(tmp_path: Path) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    with _started([node, str(_EXAMPLES / "memory_server.mjs")]) as url:
        in_process, at_server = _run_examples(tmp_path, url)
    assert in_process == at_server
    assert any(record["retrieved"] for record in in_process)


def test_each_message_is_a_request_and_each_conversation_has_an_id(
    services: Services, conversation: Conversation
) -> None:
    with memory() as server:
        assert talk(url_of(server), services, conversation, first_hit, k="5") == ["fine"]
        talk(url_of(server), services, conversation, first_hit)
    one, other = ([asked for asked in server.asked if asked.path.split("/")[3] == id_] for id_ in _ids(server))
    assert [asked.path.rpartition("/")[2] for asked in one] == [
        *"open ingest ingest ingest ready retrieve close".split()
    ]
    assert [asked.path.rpartition("/")[2] for asked in other] == [asked.path.rpartition("/")[2] for asked in one]
    assert one[0].body["settings"] == {"k": "5"}
    assert one[0].body["folder"] is None
    assert one[0].body["conversation"] == {"id": "conv-1", "speakers": ["Ann", "Bob"]}


def _ids(server: Server) -> list[str]:
    return list(dict.fromkeys(asked.path.split("/")[3] for asked in server.asked))


@pytest.mark.parametrize("at", ["open", "ingest", "ready", "retrieve"])
@pytest.mark.parametrize(
    ("step", "message"),
    [
        (sends({"error": "no index\nfor this"}, 500), "{url} answered '{at}' with status 500: no index for this"),
        (sends({"error": "no index"}), "{url} answered '{at}' with an error: no index"),
        (
            Step(404, b"<html>\n<h1>Not found</h1>", {"content-type": "text/html; charset=utf-8"}),
            "{url} answered '{at}' with status 404: text/html, '<html> <h1>Not found</h1>'",
        ),
        (Step(200, b"<html>Hello"), "the reply of {url} to '{at}' is not JSON: '<html>Hello'"),
        (Step(503, b""), "{url} answered '{at}' with status 503: no reason"),
        (sends({}, 307, location="http://127.0.0.1:1/v2"), "{url} redirects '{at}' to http://127.0.0.1:1/v2; name the address"),
        (DROPS, "the connection to {url} broke at '{at}'"),
        (Step(200, b'{"ready": tr', declared=400), "the connection to {url} broke at '{at}'"),
        (sends([1]), "the reply of {url} to '{at}' is not understood: the value is a list, not an object"),
        (
            Step(200, gzip.compress(b"{}"), {"content-encoding": "gzip"}),
            "{url} sent a compressed reply, which was not asked for",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_one_clear_sentence(
    services: Services, conversation: Conversation, step: Step, message: str, at: str
) -> None:
    with memory(**{at: step}) as server, pytest.raises(RemoteError) as raised:
        talk(url_of(server), services, conversation, first_hit)
    assert str(raised.value).startswith(message.replace("{at}", at).replace("{url}", url_of(server)))
    assert "\n" not in str(raised.value)


def test_a_reply_that_is_too_long_is_refused(services: Services, conversation: Conversation) -> None:
    long = Step(200, b" " * (LONGEST_REPLY + 1))
    with memory(retrieve=long) as server, pytest.raises(RemoteError, match="a reply of more than 16,777,216 bytes"):
        talk(url_of(server), services, conversation, first_hit)


def test_only_messages_that_can_be_repeated_are_sent_again(services: Services, conversation: Conversation) -> None:
    busy = sends({"error": "busy"}, 503)
    with memory(retrieve=busy) as server:
        retrieve = server.answer

        def answer(body: dict[str, Any]) -> Step:
            times = sum(message_of(asked.body) == "retrieve" for asked in server.asked)
            return sends({"hits": ["third"]}) if times == 3 else retrieve(body)

        server.answer = answer
        assert talk(url_of(server), services, conversation, first_hit) == ["third"]
    for at in ("open", "ingest"):
        with memory(**{at: busy}) as server, pytest.raises(RemoteError, match="with status 503: busy"):
            talk(url_of(server), services, conversation, first_hit)
        assert sum(message_of(asked.body) == at for asked in server.asked) == 1


def test_a_server_that_stores_later_is_asked_until_it_is_ready(services: Services, conversation: Conversation) -> None:
    replies = [Step(202), sends({"ready": False}), Step(202, b"soon"), Step(204), sends({})]
    with memory(ingest=Step(202)) as server:
        others = server.answer
        server.answer = lambda body: replies.pop(0) if message_of(body) == "ready" and replies else others(body)
        assert talk(url_of(server), services, conversation, first_hit) == ["fine"]
    assert sum(asked.path.endswith("/ready") for asked in server.asked) == 4


def test_a_server_that_is_never_ready_costs_its_own_questions(tmp_path: Path) -> None:
    data = tmp_path / "locomo.json"
    data.write_text(json.dumps([_RECORD]))
    with memory(ready=Step(202)) as server:
        arguments = ["--backend", url_of(server), "--backend", "bm25", "--no-controls", "--memory-timeout", "3"]
        roles = ["--reader", "offline", "--judge", "offline"]
        assert main(["run", "--data", str(data), "--out", str(tmp_path / "run"), *arguments, *roles]) == 3
    records = list(RunFolder(tmp_path / "run").records())
    host = url_of(server).removeprefix("http://")
    assert {r.error for r in records if r.backend == host} == {
        "ingest: MemoryTimeout: ready did not return within 3 s (--memory-timeout); the memory is not called again"
    }
    assert {r.status for r in records if r.backend == "bm25"} == {"ok"}


def test_the_key_is_sent_to_the_server_and_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(http.KEY_VARIABLE, _KEY)
    data = tmp_path / "locomo.json"
    data.write_text(json.dumps([_RECORD]))
    info = sends({"protocol": 1, "name": f"memory of {_KEY}"})
    with memory(info, retrieve=sends({"error": f"the key {_KEY} may not do this"}, 403)) as server:
        arguments = ["--backend", url_of(server), "--no-controls", "--reader", "offline", "--judge", "offline"]
        assert main(["run", "--data", str(data), "--out", str(tmp_path / "run"), *arguments]) == 3
    assert {asked.headers["authorization"] for asked in [*server.asked, *server.looked_up]} == {f"Bearer {_KEY}"}
    errors = {r.error for r in RunFolder(tmp_path / "run").records()}
    assert errors == {
        f"retrieve: RemoteError: {url_of(server)} answered 'retrieve' with status 403: the key [key] may not do this"
    }
    assert not any(_KEY.encode() in path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert _KEY not in "".join(capsys.readouterr())


def test_a_redirect_is_not_followed_so_that_nobody_else_gets_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(http.KEY_VARIABLE, _KEY)
    with (
        memory() as other,
        memory(sends({}, 302, location=f"{url_of(other)}/v1/info")) as server,
        pytest.raises(UserError, match="redirects 'info' to http"),
    ):
        reach(url_of(server), 60)
    assert not other.looked_up


def test_one_key_is_not_sent_to_two_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(http.KEY_VARIABLE, _KEY)
    with memory() as one, memory() as other:
        backends = ["--backend", url_of(one), "--backend", url_of(other)]
        assert main(["run", "--dataset", "synthetic", *backends, "--out", str(tmp_path / "run")]) == 2
    assert "MEMORY_API_KEY is set, and would be sent to 127.0.0.1" in capsys.readouterr().err
    assert not one.looked_up


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://", "not of the form http://HOST:PORT"),
        ("http://localhost:high", "not of the form http://HOST:PORT"),
        ("http://me:secret@localhost:9", "backend at localhost: the URL holds a password, query or fragment"),
        ("http://localhost:9?key=secret", "put a key into MEMORY_API_KEY"),
        (
            "http://127.0.0.1:9",
            "backend http://127.0.0.1:9 cannot be reached (Connection refused); start the server, or",
        ),
    ],
)
def test_an_address_without_a_memory_is_refused_before_the_run(address: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        reach(address, 60)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_server_that_takes_too_long_before_the_run_is_refused() -> None:
    slow = replace(sends({"protocol": 1}), before=lambda: time.sleep(2))
    with memory(slow) as server, pytest.raises(UserError, match=r"did not answer 'info' within 0\.2 s"):
        reach(url_of(server), 0.2)


def test_a_context_of_a_server_is_taken_as_it_is(services: Services, conversation: Conversation) -> None:
    with memory(retrieve=sends({"context": {"text": "as it is", "left_out": ["D1:1"]}})) as server:
        assert talk(url_of(server), services, conversation, first_hit) == Context("as it is", left_out=("D1:1",))


def test_warnings_are_collected(services: Services, conversation: Conversation) -> None:
    async def warnings(opened: RemoteMemory) -> list[str]:
        return opened.warnings

    with memory(ingest=sends({"warnings": ["too long"]})) as server:
        assert talk(url_of(server), services, conversation, warnings) == ["too long"] * 3


def test_the_openapi_document_is_that_of_the_types() -> None:
    assert PAGE.read_text("utf-8") == memory_api(), "run `make docs`"
    paths = json.loads(memory_api())["paths"]
    assert [path.rpartition("/")[2] for path in paths] == ["info", "open", "ingest", "ready", "retrieve", "close"]


def test_what_a_run_sends_is_what_the_openapi_document_says(services: Services, conversation: Conversation) -> None:
    document = json.loads(PAGE.read_text("utf-8"))
    with memory() as server:
        talk(url_of(server), services, conversation, first_hit, k="5")
    for asked in server.asked:
        operation = document["paths"]["/v1/memories/{id}/" + asked.path.rpartition("/")[2]]["post"]
        reference = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(asked.body, {**reference, "components": document["components"]})
    assert {"Failure", "Info", "Retrieved", "FoundHit", "Session"} <= set(document["components"]["schemas"])
