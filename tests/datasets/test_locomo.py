"""The LoCoMo loader: each oddity by its rule, and one sentence for each fault."""

from __future__ import annotations

import copy
import json
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_eval.cli.main import main
from engram_eval.datasets.dataset import Notes
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.datasets.locomo.evidence import parse_evidence
from engram_eval.datasets.locomo.loader import NOT_MENTIONED
from engram_eval.errors import UserError
from engram_eval.types import Sample

_RECORD: dict[str, Any] = {
    "sample_id": "conv-7",
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I adopted a dog."},
            {"speaker": "Bob", "dia_id": "D1:2", "text": "Look!", "blip_caption": "a photo of a cat"},
        ],
        "session_2_date_time": "12:09 am on 13 September, 2023",
        "session_2": [{"speaker": "Ann", "dia_id": "D2:5", "text": "I was born in 1990."}],
        "session_3_date_time": "9:55 am on 22 October, 2023",
    },
    "qa": [
        {"question": "What did Ann adopt?", "answer": "A dog", "evidence": ["D1:1"], "category": 4},
        {"question": "When was Ann born?", "answer": 1990, "evidence": ["D:2:05; D1:2", "D9:9", "D"], "category": 2},
        {"question": "What did Bob adopt?", "adversarial_answer": "A dog", "evidence": ["D1:1"], "category": 5},
        {"question": "What did Ann adopt?", "answer": "Pets", "category": 1},
    ],
}  # fmt: skip


def _write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _read(path: Path) -> tuple[list[Sample], Notes]:
    notes = Notes()
    return list(LOCOMO.open(path, {}).samples(notes)), notes


def test_turns_sessions_and_dates(tmp_path: Path) -> None:
    (sample,), notes = _read(_write(tmp_path, [_RECORD]))
    first, second = sample.conversation.sessions
    assert (first.id, first.started_at) == ("D1", datetime(2023, 5, 8, 13, 56))
    assert second.started_at == datetime(2023, 9, 13, 0, 9)
    assert first.turns[1].text == "Look! [image: a photo of a cat]"
    assert sample.conversation.info.speakers == ("Ann", "Bob")
    assert notes.places["dates without a session: left aside"] == ["conv-7 session_3_date_time"]


def test_questions_by_rule(tmp_path: Path) -> None:
    (sample,), notes = _read(_write(tmp_path, [_RECORD]))
    plain, number, adversarial, bare = sample.questions
    assert (plain.id, plain.category, plain.gold, plain.evidence) == ("conv-7:q0", "single-hop", "A dog", ("D1:1",))
    assert (number.gold, number.category) == ("1990", "temporal")
    assert (number.evidence, number.evidence_sessions) == (("D2:5", "D1:2"), ("D2", "D1"))
    assert adversarial.unanswerable
    assert adversarial.gold == NOT_MENTIONED
    assert bare.evidence == ()
    assert notes.places["evidence ids that match no turn: dropped"] == ["conv-7:q1: 'D9:9'", "conv-7:q1: 'D'"]
    assert notes.places["malformed evidence ids: every id in them is used"] == ["conv-7:q1: 'D:2:05; D1:2'"]
    assert notes.places["question texts that occur more than once: kept apart by id"] == ["conv-7: What did Ann adopt?"]


def test_sessions_are_put_in_time_order(tmp_path: Path) -> None:
    record = copy.deepcopy(_RECORD)
    record["conversation"]["session_2_date_time"] = "1:00 pm on 1 January, 2023"
    (sample,), notes = _read(_write(tmp_path, [record]))
    assert [session.id for session in sample.conversation.sessions] == ["D2", "D1"]
    assert "sessions numbered out of time order: put in time order" in notes.places


def test_ten_sessions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    record = copy.deepcopy(_RECORD)
    record["conversation"] = {
        f"session_{n}": [{"speaker": "Ann", "dia_id": f"D{n}:1", "text": "Hi"}] for n in (10, 2, 1)
    }
    record["qa"] = []
    (sample,), notes = _read(_write(tmp_path, [record]))
    assert [session.id for session in sample.conversation.sessions] == ["D1", "D2", "D10"]
    assert len(notes.places["sessions without a date: kept, undated"]) == 3


def test_the_first_release_is_a_folder_or_a_zip_of_conversations(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    flat = {**_RECORD["conversation"], "qa": _RECORD["qa"]}  # sessions beside qa, no sample_id
    flat["session_2"] = [{"speaker": "Ann", "dia_id": "D2:5", "clean_text": "I was born in 1990."}]
    (folder / "26_post_qa.json").write_text(json.dumps(flat))
    (folder / "4_post_qa.json").write_text(json.dumps({**_RECORD, "sample_id": "conv-4"}))
    samples, _ = _read(folder)
    assert [sample.conversation.id for sample in samples] == ["conv-4", "conv-26"]
    assert samples[1].conversation.sessions[1].turns[0].text == "I was born in 1990."
    with zipfile.ZipFile(tmp_path / "locomo10.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"locomo10/{file.name}")
    assert _read(tmp_path / "locomo10.zip")[0] == samples


@pytest.mark.parametrize("key", ["blip_caption", "blip_captions", "image_caption", "Caption"])
@pytest.mark.parametrize("value", ["a cat", ["a cat", "a cat"]])
def test_captions_are_read_under_any_key(tmp_path: Path, key: str, value: Any) -> None:
    turn = {"speaker": "Ann", "dia_id": "D1:1", "text": "Look!", key: value}
    (sample,), _ = _read(_write(tmp_path, _broken(conversation__session_1=[turn])))
    assert sample.conversation.sessions[0].turns[0].text == "Look! [image: a cat]"


@pytest.mark.parametrize("spelling", ["session_02", "Session_2", "session 2", "SESSION-002", "session2"])
def test_sessions_are_read_under_any_spelling(tmp_path: Path, spelling: str) -> None:
    record = copy.deepcopy(_RECORD)
    conversation = record["conversation"]
    conversation[spelling] = conversation.pop("session_2")
    conversation[f"{spelling}_date_time"] = conversation.pop("session_2_date_time")
    assert _read(_write(tmp_path, [record]))[0] == _read(_write(tmp_path, [_RECORD]))[0]


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    record = _broken(
        conversation__session_1__0__mood="glad", conversation__sesion_3=["x"], qa__0__note="x", event_summary={"a": 1}
    )
    _, notes = _read(_write(tmp_path, record))
    assert notes.places["key 'mood' of a turn: not read"] == ["conv-7 D1:1"]
    assert notes.places["key 'sesion_3' of a conversation: not read"] == ["conv-7"]
    assert notes.places["key 'note' of a question: not read"] == ["conv-7:q0"]
    assert "event_summary" not in str(notes.places)
    assert "key 'mood' of a turn: not read (1)" in notes.in_one_line()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("D1:1-3", ["D1:1", "D1:2", "D1:3"]),
        ("D1:1–D1:3", ["D1:1", "D1:2", "D1:3"]),
        ("D1:1, 3", ["D1:1", "D1:3"]),
        ("D1:1; D1:3", ["D1:1", "D1:3"]),
        ("D1:1,3; d2:4 to 6", ["D1:1", "D1:3", "D2:4", "D2:5", "D2:6"]),
        ("D:1:03 and 5", ["D1:3", "D1:5"]),
        ("turn-a, turn-b", ["turn-a", "turn-b"]),
    ],
)
def test_every_id_of_malformed_evidence_is_used(text: str, ids: list[str]) -> None:
    assert parse_evidence(text, {"turn-a", "turn-b"}) == (ids, True)


@pytest.mark.parametrize(
    ("text", "ids"), [("D1:1-D2:3", ["D1:1", "D2:3"]), ("D1:1 (asked 3 times)", ["D1:1"]), ("D", []), ("1-3", [])]
)
def test_evidence_that_cannot_be_read_whole_is_not_called_complete(text: str, ids: list[str]) -> None:
    assert parse_evidence(text, ()) == (ids, False)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=6, unique=True), st.data())
def test_a_list_of_ids_in_one_text_is_the_same_as_the_list(ids: list[tuple[int, int]], data: st.DataObject) -> None:
    separator = data.draw(st.sampled_from([", ", ";", " ", " and ", "/", " & "]))
    names = [f"D{session}:{turn}" for session, turn in ids]
    assert parse_evidence(separator.join(names), ()) == (names, True)


def test_half_a_surrogate_pair_becomes_text_that_can_be_encoded(tmp_path: Path) -> None:
    record = copy.deepcopy(_RECORD)
    record["qa"][0]["question"] = "\ud83d?"
    (sample,), _ = _read(_write(tmp_path, [record]))
    assert sample.questions[0].text.encode()


def _broken(**changes: Any) -> list[dict[str, Any]]:
    record = copy.deepcopy(_RECORD)
    for path, value in changes.items():
        target: Any = record
        *steps, last = path.split("__")
        for step in steps:
            target = target[int(step) if step.isdecimal() else step]
        key = int(last) if last.isdecimal() else last
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return [record]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "the file: the list is empty"),
        ('{"a": ', "line 1, column 7: not JSON"),
        ("5", "the file: expected an object, found a number"),
        ("[" * 100_000, "not usable JSON"),
        ("[" + "9" * 5000 + "]", "not usable JSON"),
        (_broken(qa=...), r"\[0\]: 'qa' is missing"),
        (_broken(qa__0__question=...), r"\[0\].qa\[0\]: 'question' is missing"),
        (_broken(qa__0__answer=None), r"\[0\].qa\[0\]: 'answer' is missing"),
        (_broken(qa__0__category=6), "category '6' is not a number from 1 to 5"),
        (_broken(qa__0__category=True), "category 'True'"),
        (_broken(qa__0__category=[1]), r"category '\[1\]'"),
        (_broken(conversation__session_1__0__text=...), r"conversation.session_1\[0\]: 'text' is missing"),
        (_broken(conversation__session_1__0__text=7), r"session_1\[0\].text: expected text, found a number"),
        (_broken(conversation__session_1__1__dia_id="D1:1"), "dia_id 'D1:1' occurs twice"),
        (_broken(conversation__session_1_date_time="yesterday"), "'yesterday' is not a date like"),
        (_broken(conversation__session_1={}), "session_1: expected a list, found an object"),
        (_broken(conversation={}), "there is no session with turns"),
        ([_RECORD, _RECORD], "sample_id 'conv-7' occurs twice"),
        (_broken(qa__0__answer=" "), r"\[0\].qa\[0\]: 'answer' is empty"),
        (_broken(qa__2__question=""), r"\[0\].qa\[2\]: 'question' is empty"),
        (_broken(conversation__session_02=[]), "'session_2' and 'session_02' are two spellings of session 2; rename one"),
        (json.dumps([_RECORD]).replace('"session_2":', '"session_1":'), "an object has the key 'session_1' twice"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_with_file_place_and_fix(tmp_path: Path, content: Any, sentence: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(UserError, match=sentence) as caught:
        _read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert ";" in message  # the fix follows


def test_faults_of_the_file_itself(tmp_path: Path) -> None:
    latin, empty = tmp_path / "latin.json", tmp_path / "empty"
    empty.mkdir()
    latin.write_bytes('[{"sample_id": "é"}]'.encode("latin-1"))
    with pytest.raises(UserError, match="byte 16: not UTF-8; save it as UTF-8"):
        _read(latin)
    with pytest.raises(UserError, match=r"there is no such file\); check the path"):
        _read(tmp_path / "absent.json")
    with pytest.raises(UserError, match=r"holds no \.json file of LoCoMo"):
        _read(empty)
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    with pytest.raises(UserError, match="not a readable zip file"):
        _read(tmp_path / "bad.zip")


def test_endless_numbers_are_not_ids(tmp_path: Path) -> None:
    record = copy.deepcopy(_RECORD)
    record["qa"][0]["evidence"] = ["D1:" + "9" * 5000]
    record["conversation"]["session_" + "9" * 5000] = []
    (sample,), _ = _read(_write(tmp_path, [record]))
    assert sample.questions[0].evidence == ()


def test_files_of_the_first_release_in_folders_of_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        for name in ("a/1.json", "b/1.json"):
            archive.writestr(name, json.dumps({**_RECORD, "sample_id": name}))
    assert [sample.conversation.id for sample in _read(tmp_path / "release.zip")[0]] == ["a/1.json", "b/1.json"]
    with zipfile.ZipFile(tmp_path / "release.zip", "a") as archive:
        archive.writestr("c/2.json", '{"session_1": []}')
    with pytest.raises(UserError, match=r"release\.zip/c/2\.json: the file: there is no session"):
        _read(tmp_path / "release.zip")


def test_other_files_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "locomo.json").write_text(json.dumps([_RECORD]))
    for name, content in {"verdicts.json": '[{"question_id": "x"}]', "broken.json": "{", "empty.json": ""}.items():
        (tmp_path / name).write_text(content)
    samples, notes = _read(tmp_path)
    assert [sample.conversation.id for sample in samples] == ["conv-7"]
    assert sorted(notes.places["files that hold no LoCoMo conversation: passed over"]) == [
        "broken.json", "empty.json", "verdicts.json",
    ]  # fmt: skip


def test_the_data_folder_may_hold_other_files_of_such_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locomo1_notes.json").write_text("[]")
    (tmp_path / "locomo5.json").write_text(json.dumps([_RECORD]))
    monkeypatch.setenv("ENGRAM_EVAL_DATA", str(tmp_path))
    assert len(list(LOCOMO.open(None, {}).samples())) == 1


def test_a_bad_record_costs_itself_alone_if_it_may_be_skipped(tmp_path: Path) -> None:
    other = {**copy.deepcopy(_RECORD), "sample_id": "conv-8"}
    other["qa"][1]["category"] = 9
    path = _write(tmp_path, [{"sample_id": "conv-6"}, other, _RECORD])
    with pytest.raises(UserError, match=r"\[0\]: there is no session with turns \(.*\) \(in 'conv-6'\); compare"):
        _read(path)
    notes = Notes()
    samples = list(replace(LOCOMO.open(path, {}), skip_bad_records=True).samples(notes))
    assert [sample.conversation.id for sample in samples] == ["conv-8", "conv-7"]
    assert [question.id for question in samples[0].questions] == ["conv-8:q0", "conv-8:q2", "conv-8:q3"]
    assert [str(fault).split(": ")[1] for fault in notes.faults] == ["the file[0]", "the file[1].qa[1]"]


def test_a_run_without_bad_records_counts_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = copy.deepcopy(_RECORD)
    record["qa"][3]["question"] = None
    run = [
        "run",
        "--data",
        str(_write(tmp_path, [record])),
        "--reader",
        "offline",
        "--judge",
        "offline",
        "--backend",
        "bm25",
    ]
    assert main([*run, "--out", str(tmp_path / "a")]) == 2
    assert "[0].qa[3]: 'question' is missing (in 'conv-7')" in capsys.readouterr().err
    assert main([*run, "--out", str(tmp_path / "b"), "--skip-bad-records"]) == 0
    out, err = capsys.readouterr()
    assert "SKIPPED   1 record that cannot be read, the first:" in err
    assert "1 record of the dataset could not be read and no figure covers them" in " ".join(out.split())


def test_a_dataset_that_is_read_from_a_file_has_no_settings(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--set dataset\.conversations=3: locomo is read from a file"):
        LOCOMO.open(_write(tmp_path, [_RECORD]), {"conversations": "3"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*_RECORD, *_RECORD["conversation"], *_RECORD["qa"][0], "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.sampled_from(["qa", "conversation", "sample_id"]), _JSON).map(
        lambda change: json.dumps([{**_RECORD, change[0]: change[1]}]).encode()
    )
    | st.integers(0, 900).map(lambda end: json.dumps([_RECORD]).encode()[:end])
)
def test_no_bytes_cause_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.json"
    path.write_bytes(content)
    try:
        _read(path)
    except UserError as error:
        assert str(path) in str(error)


def test_the_real_half_of_locomo(real_data: Path) -> None:
    samples, notes = _read(real_data / "locomo5_dev.json")
    questions = [question for sample in samples for question in sample.questions]
    turns = [turn for sample in samples for session in sample.conversation.sessions for turn in session.turns]
    assert (len(samples), len(turns), len(questions)) == (5, 2760, 999)
    assert len(notes.places["dates without a session: left aside"]) == 16
    assert len(notes.places["gold answers that are numbers: read as text"]) == 6
    assert sum(question.unanswerable for question in questions) == 237
    assert len({question.id for question in questions}) == 999


def test_a_file_of_the_ten_conversations_is_compared_with_the_published_counts(tmp_path: Path) -> None:
    records = [{**_RECORD, "sample_id": f"conv-{n}"} for n in (26, 30, 41, 42, 43, 44, 47, 48, 49, 50)]
    dataset = LOCOMO.open(_write(tmp_path, records), {})
    ids = frozenset(sample.conversation.id for sample in dataset.samples())
    assert "multi-hop: 10 questions, 282 in the official file" in dataset.differences({"multi-hop": 10}, ids)
    counts = {"multi-hop": 282, "temporal": 321, "open-domain": 96, "single-hop": 841, "adversarial": 446}
    assert dataset.differences(counts, ids) == []
    assert dataset.differences({}, frozenset(str(i) for i in range(10))) == []  # ten conversations of another data set
