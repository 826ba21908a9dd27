"""Servers that send on what they should keep, or more than anybody can use."""

from __future__ import annotations

import gzip
import json
import stat
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLMError
from engram_eval.llm.cache.response_cache import cache_file
from tests.llm.conftest import KEY, Client
from tests.llm.server import Server, Step, refuses, says


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_and_its_target_is_named(client: Client, status: int) -> None:
    with Server() as other:
        step = Step(status, headers={"location": f"{other.url}/chat/completions?key={KEY}"})
        with Server(step) as server, pytest.raises(UserError, match=f"redirects to {other.url}") as caught:
            client.chat(server.url)
        assert other.asked == []
    assert KEY not in str(caught.value)


def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    bomb = Step(body=gzip.compress(b"0" * 50_000_000), headers={"content-encoding": "gzip"})
    with (
        Server(answer=lambda _: bomb) as server,
        pytest.raises(LLMError, match="more than 24,000,000 bytes, or a compressed"),
    ):
        client.chat(server.url, settings={"retries": 0})
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_body_is_read_up_to_a_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram_eval.llm.transport._LONGEST_REPLY", 100_000)
    long = Step(body=json.dumps({"padding": "0" * 200_000}).encode())
    with Server(answer=lambda _: long) as server, pytest.raises(LLMError, match="more than 100,000 bytes"):
        client.chat(server.url, settings={"retries": 0})


@pytest.mark.parametrize(
    "written",
    [KEY, KEY.replace("-", "\\u002d"), KEY.replace("s", "\\u0073"), "\\/".join(KEY.split("/"))],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_key_that_the_server_sends_back_in_any_spelling_is_kept_nowhere(
    client: Client, written: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    body = says("KEY").body if status == 200 else refuses(400, "bad key KEY").body
    text = ""
    with Server(Step(status, body.replace(b"KEY", written.encode()))) as server:
        try:
            text = client.chat(server.url).text
        except LLMError as error:
            text = str(error)
    assert KEY not in text
    assert "[key]" in text
    assert KEY.encode() not in cache_file(client.folder).read_bytes()
    said = capsys.readouterr()
    assert KEY not in said.out + said.err


def test_a_servers_error_cannot_write_to_the_terminal(client: Client) -> None:
    with Server(refuses(400, "\x1b[2J\x07 wrong \u202eorder")) as server, pytest.raises(LLMError) as caught:
        client.chat(server.url)
    assert str(caught.value).isprintable()


def test_the_cache_is_for_its_owner_alone(client: Client) -> None:
    with Server() as server:
        client.chat(server.url)
    file = cache_file(client.folder)
    modes: dict[str, Any] = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
