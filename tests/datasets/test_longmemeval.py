"""The LongMemEval loader: no label reaches a memory, one history in memory at a time, one sentence for each fault."""

from __future__ import annotations

import copy
import json
import tracemalloc
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_eval.datasets.dataset import Notes
from engram_eval.datasets.longmemeval import LONGMEMEVAL_ORACLE, LONGMEMEVAL_S
from engram_eval.errors import UserError
from engram_eval.types import Sample

_RECORD: dict[str, Any] = {
    "question_id": "q1_abs",
    "question_type": "temporal-reasoning",
    "question": "When did I adopt the dog?",
    "answer": 7,
    "question_date": "2023/05/30 (Tue) 23:40",
    "haystack_dates": ["2023/05/22 (Mon) 09:00", "2023/05/20 (Sat) 02:21"],
    "haystack_session_ids": ["answer_1", "sharegpt_2"],
    "haystack_sessions": [
        [
            {"role": "user", "content": "I adopted a dog.", "has_answer": True},
            {"role": "assistant", "content": "Lovely!", "has_answer": False},
        ],
        [{"role": "user", "content": "Write a poem."}, {"role": "assistant", "content": "Roses."}],
    ],
    "answer_session_ids": ["answer_1"],
}


def _write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "longmemeval_s.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _read(path: Path) -> tuple[list[Sample], Notes]:
    notes = Notes()
    return list(LONGMEMEVAL_S.open(path, {}).samples(notes)), notes


def test_sessions_are_in_time_order_and_evidence_follows_them(tmp_path: Path) -> None:
    (sample,), notes = _read(_write(tmp_path, [_RECORD]))
    first, second = sample.conversation.sessions
    assert (first.id, first.started_at) == ("S1", datetime(2023, 5, 20, 2, 21))
    assert second.turns[0].text == "I adopted a dog."
    (question,) = sample.questions
    assert (question.evidence, question.evidence_sessions) == (("S2:1",), ("S2",))
    assert (question.gold, question.unanswerable) == ("7", True)
    assert question.asked_at == datetime(2023, 5, 30, 23, 40)
    assert notes.places["sessions out of time order: put in time order"] == ["q1_abs"]


def test_a_session_without_turns_is_no_evidence_session(tmp_path: Path) -> None:
    histories = [[], _RECORD["haystack_sessions"][1]]
    (sample,), _ = _read(_write(tmp_path, [{**_RECORD, "haystack_sessions": histories}]))
    assert sample.questions[0].evidence_sessions == ()


def test_no_label_reaches_a_memory(tmp_path: Path) -> None:
    (sample,), _ = _read(_write(tmp_path, [_RECORD]))
    seen = repr(sample.conversation)
    for label in ("answer_", "_abs", "has_answer", "q1", "sharegpt"):
        assert label not in seen


def test_real_instances(real_data: Path) -> None:
    (sample,), _ = _read(real_data / "longmemeval_s_one.json")
    assert sum(len(session.turns) for session in sample.conversation.sessions) == 550
    assert sample.questions[0].evidence == ("S52:5", "S52:6")
    assert "answer_" not in repr(sample.conversation.sessions[51].id)
    (oracle,) = LONGMEMEVAL_ORACLE.open(real_data / "longmemeval_oracle_one.json", {}).samples()
    dates = [session.started_at for session in oracle.conversation.sessions]
    assert dates == sorted(dates, key=str)


def test_one_history_is_in_memory_at_a_time(tmp_path: Path) -> None:
    history = {
        **_RECORD,
        "haystack_sessions": [[{"role": "user", "content": "word " * 40_000}], [{"role": "user", "content": "x"}]],
    }
    path = tmp_path / "longmemeval_s.json"
    with path.open("w") as file:
        file.write("[")
        for i in range(100):  # 20 MB
            file.write(("," if i else "") + json.dumps({**history, "question_id": f"q{i}"}))
        file.write("]")
    dataset = LONGMEMEVAL_S.open(path, {})
    tracemalloc.start()
    assert sum(1 for _ in dataset.samples()) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def _broken(**changes: Any) -> list[dict[str, Any]]:
    record = copy.deepcopy(_RECORD)
    for key, value in changes.items():
        if value is ...:
            del record[key]
        else:
            record[key] = value
    return [record]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "the list is empty"),
        ("{}", "expected a list"),
        ("", "the file is empty; fetch"),
        (json.dumps([_RECORD])[:-30], "not JSON"),
        (json.dumps([_RECORD, {**_RECORD, "question_id": "q2"}])[:-30], "after record 0: not JSON"),
        (_broken(question=...), "record 0: 'question' is missing"),
        (_broken(question_type="trivia"), "question_type 'trivia' is not one of"),
        (_broken(haystack_dates=["2023/05/22"]), r"differ in length \(2, 1 and 2\)"),
        (_broken(haystack_dates=["2023/02/31 (Mon) 09:00", "x"]), r"haystack_dates\[0\]: '2023/02/31"),
        (_broken(haystack_sessions=[[{"role": "user"}], []]), r"haystack_sessions\[0\]\[0\]: 'content' is missing"),
        (_broken(haystack_sessions=[[], []]), "haystack_sessions holds no turn"),
        (_broken(haystack_sessions=[], haystack_dates=[], haystack_session_ids=[]), "haystack_sessions is empty"),
        ([_RECORD, _RECORD], "record 1: question_id 'q1_abs' occurs twice"),
        (_broken(question=" "), "record 0: 'question' is empty"),
        (_broken(question_id="q1", answer=""), "record 0: 'answer' is empty"),
        (json.dumps([_RECORD]).replace('"answer":', '"question":'), "record 0: an object has the key 'question' twice"),
    ],
)
def test_a_fault_is_one_sentence_with_file_place_and_fix(tmp_path: Path, content: Any, sentence: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(UserError, match=sentence) as caught:
        _read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert ";" in message


@pytest.mark.parametrize(
    ("mark", "is_evidence"), [("true", True), (1, True), ("True", True), ("false", False), (0, False)]
)
def test_has_answer_as_text_or_number(tmp_path: Path, mark: Any, is_evidence: bool) -> None:
    histories = [[{"role": "user", "content": "I adopted a dog.", "has_answer": mark}], []]
    (sample,), notes = _read(_write(tmp_path, _broken(haystack_sessions=histories)))
    assert sample.questions[0].evidence == (("S2:1",) if is_evidence else ())
    assert "has_answer that is text or a number: read as true or false" in notes.places


def test_has_answer_that_is_neither_is_a_fault(tmp_path: Path) -> None:
    histories = [[{"role": "user", "content": "I adopted a dog.", "has_answer": "perhaps"}], []]
    with pytest.raises(UserError, match="has_answer is 'perhaps', not true or false"):
        _read(_write(tmp_path, _broken(haystack_sessions=histories)))


def test_what_is_doubtful_is_noted(tmp_path: Path) -> None:
    turn = {"role": "user", "content": "", "has_answer": True, "mood": "glad"}
    record = _broken(
        question_date="2023/05/21 (Sun) 23:40", haystack_sessions=[[turn], [turn]],
        haystack_session_ids=["answer_1", "answer_1"], source="a chat",
    )  # fmt: skip
    (sample,), notes = _read(_write(tmp_path, record))
    assert sample.questions[0].evidence_sessions == ("S1", "S2")
    assert notes.places["evidence sessions later than the question's date: kept"] == ["q1_abs S2"]
    assert notes.places["session ids that occur more than once in a history: kept apart"] == ["q1_abs answer_1"]
    assert notes.places["key 'source' of a record: not read"] == ["q1_abs"]
    assert len(notes.places["key 'mood' of a turn: not read"]) == 2
    assert len(notes.places["turns without text: kept"]) == 2


def test_a_folder_and_other_encodings(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is a folder; name the data file"):
        _read(tmp_path)
    path = tmp_path / "latin.json"
    path.write_bytes(json.dumps([_RECORD], ensure_ascii=False).replace("dog", "d\xf6g").encode("latin-1"))
    with pytest.raises(UserError, match="record 0: not UTF-8 but probably Windows-1252"):
        _read(path)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "longmemeval_s.json"
    path.write_text(json.dumps([_RECORD]), encoding="utf-8-sig")
    assert _read(path)[0] == _read(_write(tmp_path, [_RECORD]))[0]


def test_a_bad_record_costs_itself_alone_if_it_may_be_skipped(tmp_path: Path) -> None:
    path = _write(tmp_path, [{**_RECORD, "question_type": "trivia", "question_id": "q2"}, _RECORD, 7])
    with pytest.raises(UserError, match=r"record 0: question_type 'trivia' .* \(in 'q2'\); compare"):
        _read(path)
    notes = Notes()
    samples = list(replace(LONGMEMEVAL_S.open(path, {}), skip_bad_records=True).samples(notes))
    assert [sample.questions[0].id for sample in samples] == ["q1_abs"]
    assert len(notes.faults) == 2


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=120).map(lambda tail: b"[" + tail)
    | st.binary(max_size=60)
    | st.integers(0, 700).map(lambda end: json.dumps([_RECORD]).encode()[:end])
    | st.tuples(
        st.sampled_from(sorted(_RECORD)),
        st.none()
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.none() | st.text(max_size=3) | st.lists(st.none())),
    ).map(lambda change: json.dumps([{**_RECORD, change[0]: change[1]}]).encode())
)
def test_no_bytes_cause_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.json"
    path.write_bytes(content)
    try:
        _read(path)
    except UserError as error:
        assert str(path) in str(error)
