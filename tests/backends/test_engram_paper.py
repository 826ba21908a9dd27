"""`engram:paper`: the calls that it sends to a server, counted and read, and the contexts that it makes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram_eval.backends.backend import Services
from engram_eval.backends.engram import EngramBackend
from engram_eval.backends.engram.banks import bank_line, merge_banks, pack_banks, render_banks
from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.message_calls import EXTRACTOR_SCHEMAS, ROUTER_SCHEMA, MessageCalls
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Stored, StoredTurn
from engram_eval.cli.main import main
from engram_eval.types import Context, ConversationInfo, Session, Turn
from tests.llm.server import Server, Step
from tests.model import Play, embeds, extracts, material, plays, role_of

pytestmark = pytest.mark.usefixtures("key")

_TALK = {
    "sample_id": "talk",
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I adopted a dog in 2022."},
            {"speaker": "Bob", "dia_id": "D1:2", "text": "How nice! What breed?"},
        ],
        "session_2_date_time": "9:05 am on 3 June, 2023",
        "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "My cat is called Tom."}],
    },
    "qa": [
        {"question": "When did Ann adopt a dog?", "answer": "2022", "evidence": ["D1:1"], "category": 2},
        {"question": "What is Bob's cat called?", "answer": "Tom", "evidence": ["D2:1"], "category": 4},
    ],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([_TALK]))
    return path


def _serves(**roles: Play) -> Callable[[dict[str, Any]], Step]:
    return embeds(plays(**roles))


def _run(data: Path, out: Path, server: Server, *arguments: str, backend: str = "engram:paper") -> int:
    models = ["--model", "gpt-4o-mini", "--base-url", server.url, "--embedder", "openai:small", "--no-controls"]
    return main(["run", "--data", str(data), "--backend", backend, "--out", str(out), *models, *arguments])


def _calls(server: Server, role: str) -> list[dict[str, Any]]:
    return [asked.body for asked in server.asked if "messages" in asked.body and role_of(asked.body) == role]


def _contexts(server: Server) -> list[str]:
    return [body["messages"][1]["content"] for body in _calls(server, "reader")]


def test_each_message_is_routed_alone_and_each_bit_is_one_extractor_call(data: Path, tmp_path: Path) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server) == 0
    routed, extracted = _calls(server, "router"), _calls(server, "extractor")
    texts = ["I adopted a dog in 2022.", "How nice! What breed?", "My cat is called Tom."]
    assert sorted((material(body) for body in routed), key=lambda shown: texts.index(shown["message"])) == [
        {"message": text} for text in texts
    ]  # the message and nothing else: no speaker, no date, no other turn
    assert {tuple(body["response_format"]["json_schema"]["schema"]["properties"]) for body in routed} == {
        ("episodic", "semantic", "procedural")
    }
    assert {body["max_tokens"] for body in routed} == {64}
    assert {body["max_tokens"] for body in extracted} == {512}
    assert all(
        body["temperature"] == 0 and body["response_format"]["json_schema"]["strict"] for body in routed + extracted
    )
    shown = {
        tuple(body["response_format"]["json_schema"]["schema"]["properties"]): material(body) for body in extracted
    }
    assert shown == {
        ("title", "summary", "timestamp"): {
            "sent": "Monday, 8 May 2023, 13:56", "speaker": "Ann", "message": "I adopted a dog in 2022.",
        },
        ("fact",): {"sent": "Saturday, 3 June 2023, 09:05", "speaker": "Bob", "message": "My cat is called Tom."},
    }  # fmt: skip


def test_a_message_with_three_bits_is_given_to_three_extractors(data: Path, tmp_path: Path) -> None:
    every = json.dumps({"episodic": True, "semantic": True, "procedural": True})
    with Server(answer=_serves(router=lambda _: every)) as server:
        assert _run(data, tmp_path / "run", server) == 0
    systems = Counter(body["messages"][0]["content"] for body in _calls(server, "extractor"))
    assert sorted(systems.values()) == [3, 3, 3]


def test_a_context_has_a_bank_for_each_speaker_with_anchors(data: Path, tmp_path: Path) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server, "--reader", "llm:engram") == 0
    assert {context.partition("\n\nQuestion")[0] for context in _contexts(server)} == {
        "Memories:\n"
        "# Memories of Ann\n"
        "May 2023: Ann told: I adopted a dog in 2022.\n"
        "# Memories of Bob\n"
        "3 June 2023: Bob told: My cat is called Tom."
    }
    systems = {body["messages"][0]["content"] for body in _calls(server, "reader")}
    assert len(systems) == 1
    assert "not mentioned" not in systems.pop()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["reader"]["name"] == "llm:engram"
    assert set(manifest["prompts"]) >= {
        "reader_engram_v1",
        "engram_message_router_v1",
        "engram_message_episodic_v1",
        "engram_message_semantic_v1",
        "engram_message_procedural_v1",
    }


def test_each_speaker_has_a_store_of_their_own(data: Path, tmp_path: Path) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server, "--keep-memories") == 0
    stores = sorted((tmp_path / "run" / "state").rglob("*.sqlite"))
    assert [store.name for store in stores] == ["engram.0.sqlite", "engram.1.sqlite"]


def test_the_query_is_embedded_in_the_time_of_search_also_from_the_cache(data: Path, tmp_path: Path) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server) == 0
        embedded = [asked.body["input"] for asked in server.asked if "input" in asked.body]
        sent = len(server.asked)
        assert _run(data, tmp_path / "again", server) == 0
        assert len(server.asked) == sent
    questions = [question["question"] for question in _TALK["qa"]]  # type: ignore[index]
    assert [texts for texts in embedded if texts[0] in questions] == [[question] for question in questions]
    first, again = (
        [json.loads(line) for line in (tmp_path / run / "records.jsonl").read_text().splitlines()]
        for run in ("run", "again")
    )
    for record, repeated in zip(first, again, strict=True):
        assert record["cost_usd"] == repeated["cost_usd"]
        assert min(record["retrieval_s"], repeated["retrieval_s"]) > 0


@pytest.mark.parametrize(
    ("preset", "extracted"),
    [("paper-episodic", {"diary": 1}), ("paper-semantic", {"facts": 1}), ("paper-procedural", {})],
)
def test_a_single_memory_asks_its_own_extractor_only(
    data: Path, tmp_path: Path, preset: str, extracted: dict[str, int]
) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server, backend=f"engram:{preset}") == 0
    systems = [body["messages"][0]["content"] for body in _calls(server, "extractor")]
    assert {word: sum(word in system.partition("\n")[0] for system in systems) for word in extracted} == extracted
    assert len(systems) == sum(extracted.values())
    assert len(_calls(server, "router")) == 3


def test_a_message_without_a_usable_record_is_kept_verbatim_in_its_speakers_bank(data: Path, tmp_path: Path) -> None:
    def extractor(body: dict[str, Any]) -> str:
        return extracts(body) if "timestamp" not in extracts(body) else '{"title": "", "summary": " ", "timestamp": ""}'

    with Server(answer=_serves(extractor=extractor)) as server:
        assert _run(data, tmp_path / "run", server) == 0
    assert all("# Memories of Ann\n2022: Ann: I adopted a dog in 2022.\n" in context for context in _contexts(server))
    warnings = [json.loads(line)["warning"] for line in (tmp_path / "run" / "warnings.jsonl").read_text().splitlines()]
    assert len(warnings) == 1
    assert "turn D1:1 of session" in warnings[0]
    assert "the episodic record has no text" in warnings[0]


def test_the_batched_form_sends_one_router_and_one_extractor_call_a_session(data: Path, tmp_path: Path) -> None:
    with Server(answer=_serves()) as server:
        assert _run(data, tmp_path / "run", server, backend="engram:batched") == 0
    assert len(_calls(server, "router")) == len(_calls(server, "extractor")) == 2
    assert max(len(material(body)["turns"]) for body in _calls(server, "router")) == 2
    assert all(body["max_tokens"] < 1100 for body in _calls(server, "router") + _calls(server, "extractor"))


def test_the_dry_run_has_the_price_of_both_forms_for_each_conversation(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=_serves()) as server:
        flags = ["--backend", "engram:batched", "--embedder", "openai:text-embedding-3-small", "--dry-run"]
        assert _run(data, tmp_path / "run", server, *flags) == 0
        assert not server.asked
    table = capsys.readouterr().out.partition("for each conversation")[2]
    rows = {line.split()[0]: line.split()[1] for line in table.splitlines() if line.startswith(" engram")}
    assert rows == {"engram:paper": "7", "engram:batched": "4"}  # the first has the two calls of the embedder


def test_the_plan_says_which_embedder_the_paper_has(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = "engram:paper was published with --embedder openai:text-embedding-3-small"
    for embedder, is_named in (("static", True), ("openai:text-embedding-3-small", False)):
        with Server(answer=_serves()) as server:
            assert _run(data, tmp_path / "run", server, "--embedder", embedder, "--dry-run") == 0
        assert (named in capsys.readouterr().err) is is_named


def test_a_reader_has_one_prompt_and_a_known_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("You answer from {context}: {question}")
    with Server(answer=_serves()) as server:
        flags = ["--reader", "llm:engram", "--reader-prompt", str(own)]
        assert _run(data, tmp_path / "run", server, *flags) == 2
        assert "--reader llm:engram and --reader-prompt name two prompts; leave one out" in capsys.readouterr().err
        assert _run(data, tmp_path / "run", server, "--reader", "llm:short") == 2
        assert "there is no prompt 'short'; name llm or llm:engram" in capsys.readouterr().err
        assert not [asked for asked in server.asked if asked.body]


# --- answers of the extractors ----------------------------------------------------------------------------------


def _session(text: str = "We met.") -> Session:
    return Session("s", datetime(2023, 5, 8, 13, 56), (Turn("t", "Ann", text),))


def _record(kind: MemoryType, reply: dict[str, Any]) -> MemoryRecord:
    session = _session()
    (call,) = MessageCalls().extractor_calls(session, session.turns, {"t": frozenset({kind})})
    (record,) = call.parse(reply)
    return record


@pytest.mark.parametrize(
    ("timestamp", "line"),
    [
        ("2023-05-07", "7 May 2023: They met."),
        ("2023-06", "June 2023: They met."),
        ("2022", "2022: They met."),
        ("2024-06-03/2024-06-09", "the week of 3 June 2024: They met."),
        ("June 2024", "June 2024: They met."),
        (" 7 May 2023 ", "7 May 2023: They met."),
        ("", "8 May 2023: They met."),
    ],
)
def test_a_timestamp_becomes_the_anchor(timestamp: str, line: str) -> None:
    record = _record(MemoryType.EPISODIC, {"title": "Meeting", "summary": "They met.", "timestamp": timestamp})
    assert bank_line(record) == line


@pytest.mark.parametrize("timestamp", ["soon", "2023-13", "2023-05-09/2023-05-01", "2023-05/", "2021/2022/2023"])
def test_a_timestamp_that_names_no_days_is_unusable(timestamp: str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        _record(MemoryType.EPISODIC, {"title": "Meeting", "summary": "They met.", "timestamp": timestamp})


def test_the_steps_of_a_procedure_are_one_text() -> None:
    record = _record(MemoryType.PROCEDURAL, {"title": "Tea", "content": ["Boil water.", " ", "Add leaves."]})
    assert (record.title, record.text) == ("Tea", "Boil water.; Add leaves.")


def test_a_schema_limits_lists_and_closes_objects() -> None:
    for schema in (ROUTER_SCHEMA, *EXTRACTOR_SCHEMAS.values()):
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])
    assert EXTRACTOR_SCHEMAS[MemoryType.PROCEDURAL]["properties"]["content"]["maxItems"] == 20


# --- banks ------------------------------------------------------------------------------------------------------


def _stored(*records: tuple[str, MemoryType, str]) -> Stored:
    """Records by speaker, type and text; a turn each, in the order of the speakers."""
    turns = [StoredTurn(Turn(f"t{i}", speaker, text), 0) for i, (speaker, _, text) in enumerate(records)]
    made = [MemoryRecord(kind, (f"t{i}",), "", text, None, False) for i, (_, kind, text) in enumerate(records)]
    return Stored([None], turns, made, list(range(len(made))), np.zeros((len(made), 1), np.float32))


_FACT, _EVENT = MemoryType.SEMANTIC, MemoryType.EPISODIC


def test_the_best_k_of_each_type_of_each_speaker_are_merged_and_cut_to_the_total() -> None:
    stored = _stored(
        ("Ann", _EVENT, "a"), ("Ann", _FACT, "b"), ("Ann", _FACT, "c"), ("Bob", _FACT, "d"), ("Bob", _FACT, "e")
    )  # fmt: skip
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.7])
    assert merge_banks(stored, scores, k=1, total=9, typed=True) == [1, 4, 0]
    assert merge_banks(stored, scores, k=2, total=3, typed=True) == [1, 2, 4]
    assert merge_banks(stored, scores, k=1, total=9, typed=False) == [1, 4]
    assert merge_banks(stored, scores, k=2, total=9, typed=True, exclude=["t1", "t4"]) == [2, 3, 0]


@pytest.mark.parametrize("budget", [0, 1, 9, 14, 20, 1000, None])
def test_banks_fit_the_budget_with_their_headings(services: Services, budget: int | None) -> None:
    stored = _stored(("Ann", _FACT, "a red dog"), ("Bob", _FACT, "a grey cat"), ("Bob", _EVENT, "a long walk"))
    context = pack_banks(stored, [1, 0, 2], np.array([0.5, 0.9, 0.1]), services.tokens, budget)
    best = [1, 0, 2][: len(context.items)]
    assert context.text == render_banks(stored, best)
    assert [item.turn_ids for item in context.items] == [(f"t{i}",) for i in best]
    assert context.truncated == (len(best) < 3)
    assert set(context.left_out) == {"t0", "t1", "t2"} - {f"t{i}" for i in best}
    if budget is not None:
        assert services.tokens.count(context.text) <= budget
        more = render_banks(stored, [1, 0, 2][: len(best) + 1])
        assert len(best) == 3 or services.tokens.count(more) > budget
    if budget in (1000, None):
        assert context.text == "# Memories of Ann\na red dog\n# Memories of Bob\na grey cat\na long walk"


def test_stores_of_speakers_also_work_by_rules(services: Services) -> None:
    session = Session("s", None, (Turn("1", "Ann", "I have a dog."), Turn("2", "Eve", "I like tea.")))

    async def context() -> Context:
        memory = await EngramBackend(stores="speaker").open(ConversationInfo("c", ("Ann", "Bob")), services)
        await memory.ingest(session)
        retrieved = await memory.retrieve("Who has a dog?", asked_at=None, budget=100)
        await memory.close()
        return retrieved

    assert asyncio.run(context()).text == "# Memories of Ann\nAnn: I have a dog.\n# Memories of Eve\nEve: I like tea."
