"""Replies of memories elsewhere: whatever they are, a value of the right type or one sentence."""

from __future__ import annotations

import ast
import contextlib
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.backends.remote import worker
from engram_eval.backends.remote.protocol import (
    PROTOCOL,
    REPLIES,
    REQUESTS,
    Done,
    Info,
    IngestRequest,
    RemoteError,
    Retrieved,
    failure,
    parse_reply,
    shown,
)
from engram_eval.types import Context, Hit, Item, Session, Turn

_KEYS = st.sampled_from(
    ["id", "error", "hits", "context", "text", "turn_ids", "score", "date", "items", "ready", "protocol", "warnings"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | _KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(
    content=st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(list(REPLIES.values())),
)
def test_any_bytes_are_a_reply_or_one_sentence(content: bytes, kind: type[Done]) -> None:
    try:
        assert isinstance(parse_reply(kind, content, "the reply"), kind)
    except RemoteError as error:
        assert str(error).startswith("the reply is not ")
        assert "\n" not in str(error)
        assert len(str(error)) < 400
    reason = failure(content)
    assert reason is None or (reason and "\n" not in reason)
    with contextlib.suppress(RemoteError):
        assert isinstance(worker.parse_reply_id(content), int)


@given(content=st.binary(max_size=1000))
def test_somebody_elses_text_is_shown_in_one_printable_line(content: bytes) -> None:
    text = shown(content, quoted=False)
    assert len(text) <= 200
    assert text.isprintable()


def test_hits_and_contexts_are_read_with_their_dates() -> None:
    reply = b'{"hits": ["a", {"text": "b", "turn_ids": ["D1:2"], "score": 1, "date": "2023-05-08", "speaker": "Ann"}]}'
    assert parse_reply(Retrieved, reply, "").result() == ["a", Hit("b", ("D1:2",), 1.0, datetime(2023, 5, 8))]
    assert parse_reply(Retrieved, b'{"context": "a"}', "").result() == Context("a")
    reply = b'{"context": {"text": "a", "items": [{"turn_ids": ["D1:2"], "score": 0.5}], "truncated": true}}'
    assert parse_reply(Retrieved, reply, "").result() == Context("a", (Item(("D1:2",), 0.5),), True)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"{}", "has neither 'hits' nor 'context'"),
        (b'{"hits": [], "context": ""}', "has both 'hits' and 'context'"),
        (b'{"hits": [{"text": "a", "score": NaN}]}', "'hits[0].score' is nan, not a finite number"),
        (b'{"hits": [{"text": "a", "turn_ids": "D1:1"}]}', "'hits[0].turn_ids' is 'D1:1', not a list"),
        (
            b'{"hits": [{"text": "a", "date": "in May"}]}',
            "'hits[0].date' is 'in May', not a date such as 2023-05-08 or",
        ),
        (b'{"hits": [{"score": 1}]}', "'hits[0].text' is missing"),
        (b"[]", "the value is a list, not an object"),
        (b"<html><body>Not found", "is not JSON: '<html><body>Not found'"),
        (b"", "is not JSON: ''"),
    ],
)
def test_a_wrong_reply_is_described(reply: bytes, message: str) -> None:
    with pytest.raises(RemoteError) as raised:
        parse_reply(Retrieved, reply, "the reply")
    assert message in str(raised.value)


def test_another_version_of_the_protocol_is_refused() -> None:
    with pytest.raises(RemoteError, match="'protocol' is 2, and this version of engram_eval speaks 1"):
        parse_reply(Info, b'{"protocol": 2}', "the reply")


def test_a_session_is_sent_with_all_that_a_memory_sees() -> None:
    session = Session("D1", datetime(2023, 5, 8, 13, 56), (Turn("D1:1", "Ann", "Zoë: 😀"),))
    assert json.loads(IngestRequest(session=session).model_dump_json()) == {
        "session": {
            "id": "D1",
            "started_at": "2023-05-08T13:56:00",
            "turns": [{"id": "D1:1", "speaker": "Ann", "text": "Zoë: 😀"}],
        }
    }


def test_each_message_has_a_reply() -> None:
    assert [request.name for request in REQUESTS] == list(REPLIES)
    assert PROTOCOL == 1


def test_the_helper_of_python_workers_is_one_file_for_python_3_9() -> None:
    source = (worker._HELPER / "engram_eval_worker.py").read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    assert "from __future__ import annotations" in source  # its annotations are newer than 3.9
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"asyncio", "inspect", "json", "math", "os", "sys", "threading", "traceback"}
    assert modules == {"__future__", "collections.abc", "datetime", "types", "typing"}
    assert [path.name for path in worker._HELPER.iterdir() if path.suffix == ".py"] == ["engram_eval_worker.py"]
