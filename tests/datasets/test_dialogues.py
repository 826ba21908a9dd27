"""The dialogues format: defaults, one sentence for each mistake, the schema, and conversion from the benchmarks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engram_eval.cli.main import main
from engram_eval.datasets import catalogue
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.datasets.dataset import Dataset, Notes
from engram_eval.datasets.dialogues import DIALOGUES
from engram_eval.datasets.dialogues.convert import write_dialogues
from engram_eval.datasets.dialogues.record import json_schema
from engram_eval.datasets.longmemeval import LONGMEMEVAL_S
from engram_eval.datasets.synthetic.dataset import SYNTHETIC, SYNTHETIC_LONGMEMEVAL
from engram_eval.errors import UserError
from engram_eval.types import Sample
from tests.datasets.test_locomo import _RECORD as _LOCOMO
from tests.datasets.test_longmemeval import _RECORD as _LONGMEMEVAL

_SCHEMA = Path(__file__).parents[2] / "docs" / "dialogues.schema.json"
_RECORD: dict[str, Any] = {
    "id": "c",
    "sessions": [
        {"date": "2023-05-08T13:56", "turns": [{"speaker": "Ann", "text": "I adopted a dog."}, {"speaker": "Bob", "text": ""}]},
        {"id": "June", "date": "2023-06-01", "turns": [{"id": "t", "speaker": "Ann", "text": "He is called Rex."}]},
    ],
    "questions": [
        {"question": "What did Ann adopt?", "answer": "a dog", "evidence": ["S1:1"]},
        {"id": "q", "question": "How many?", "answer": 1, "category": "count", "evidence": ["t", "S1:1", "t"],
         "date": "2023-07-01"},
        {"question": "Who is Tom?", "unanswerable": True},
    ],
}  # fmt: skip


def _write(path: Path, *records: Any) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my.jsonl"


def _read(path: Path) -> tuple[list[Sample], Notes]:
    notes = Notes()
    return list(DIALOGUES.open(path, {}).samples(notes)), notes


def _changed(**changes: Any) -> dict[str, Any]:
    """The record with values at paths such as `questions__0__answer` changed, or with `...` deleted."""
    record = copy.deepcopy(_RECORD)
    for path, value in changes.items():
        target: Any = record
        *steps, last = (int(step) if step.isdecimal() else step for step in path.split("__"))
        for step in steps:
            target = target[step]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return record


# --- what a file means ------------------------------------------------------------------------------------------


def test_absent_keys_have_defaults(file: Path) -> None:
    (sample,), _ = _read(_write(file, _RECORD))
    first, second = sample.conversation.sessions
    assert (first.id, first.started_at) == ("S1", datetime(2023, 5, 8, 13, 56))
    assert (second.id, second.started_at) == ("June", datetime(2023, 6, 1))
    assert [turn.id for turn in (*first.turns, *second.turns)] == ["S1:1", "S1:2", "t"]
    assert sample.conversation.info.speakers == ("Ann", "Bob")
    plain, number, unanswerable = sample.questions
    assert (plain.id, plain.category, plain.gold, plain.asked_at) == ("c:q0", "uncategorised", "a dog", None)
    assert (plain.evidence, plain.evidence_sessions) == (("S1:1",), ("S1",))
    assert (number.id, number.category, number.gold, number.asked_at) == ("q", "count", "1", datetime(2023, 7, 1))
    assert (number.evidence, number.evidence_sessions) == (("t", "S1:1"), ("June", "S1"))
    assert (unanswerable.category, unanswerable.unanswerable) == ("unanswerable", True)
    assert unanswerable.gold == "not mentioned in the conversation"
    (sample,), _ = _read(_write(file, _changed(questions__2__answer="")))
    assert sample.questions[2].gold == ""


def test_a_key_that_may_be_absent_may_be_null(file: Path) -> None:
    bare = _changed(sessions__0__date=..., questions__0__evidence=...)
    nulls = _changed(sessions__0__date=None, questions__0__evidence=None)
    nulls["sessions"][0]["id"] = nulls["sessions"][0]["turns"][0]["id"] = None
    nulls["questions"][0] |= {
        "id": None,
        "category": None,
        "date": None,
        "unanswerable": None,
        "evidence_sessions": None,
    }
    assert _read(_write(file, bare))[0] == _read(_write(file, nulls))[0]


def test_the_file_gives_the_categories_and_the_headline_leaves_out_the_unanswerable(file: Path) -> None:
    benchmark = DIALOGUES.open(_write(file, _RECORD), {}).benchmark
    assert benchmark.categories == ("uncategorised", "count", "unanswerable")
    assert benchmark.headline == ("uncategorised", "count")
    assert benchmark.tables == frozenset()
    labelled = _changed(questions__0__evidence_sessions=["June"])
    dataset = DIALOGUES.open(_write(file, labelled), {})
    assert dataset.benchmark.tables == {"sessions"}
    assert next(dataset.samples()).questions[0].evidence_sessions == ("June",)


def test_sessions_are_put_in_time_order_and_undated_ones_stay_in_place(file: Path) -> None:
    turns = [{"speaker": "Ann", "text": "Hi"}]
    dates = ("2023-03-01", None, "2023-01-01", None)
    sessions = [{"date": date, "turns": turns} for date in dates]
    (sample,), notes = _read(_write(file, {"id": "c", "sessions": sessions, "questions": []}))
    assert [session.id for session in sample.conversation.sessions] == ["S3", "S4", "S1", "S2"]
    assert notes.places["sessions out of time order: put in time order"] == ["c"]
    assert notes.places["sessions without a date: kept, undated"] == ["c S4", "c S2"]


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_do_not_matter(file: Path) -> None:
    other = {**_RECORD, "id": "d", "questions": []}
    expected, _ = _read(_write(file, _RECORD, other))
    content = f"\ufeff{json.dumps(_RECORD)}\r\n\r\n  \n{json.dumps(other)}"
    file.write_bytes(content.encode())
    assert _read(file)[0] == expected


def test_evidence_after_the_question_and_empty_turns_are_noted(file: Path) -> None:
    _, notes = _read(_write(file, _changed(questions__1__date="2023-05-09", sessions__0__turns__1__text=" ")))
    assert notes.places["evidence sessions later than the question's date: kept"] == ["q June"]
    assert notes.places["turns without text: kept"] == ["c S1:2"]


def test_half_a_surrogate_pair_becomes_text_that_can_be_encoded(file: Path) -> None:
    (sample,), _ = _read(_write(file, _changed(questions__0__question="\ud83d?", sessions__0__turns__0__text="\ud83d")))
    assert sample.questions[0].text.encode() and sample.conversation.sessions[0].turns[0].text.encode()


# --- mistakes ---------------------------------------------------------------------------------------------------

_MISTAKES: list[tuple[Any, str]] = [
    ("{", "line 1: column 1: not JSON"),
    ("[]", "the value is a list, not an object"),
    (_changed(id=...), "'id' is missing"),
    (_changed(id=7), "'id' is 7, not text"),
    (_changed(id=""), "'id' is '', too short"),
    (_changed(sessions=...), "'sessions' is missing"),
    (_changed(sessions=[]), "'sessions' is a list, too short"),
    (_changed(sessions__0__turns=[]), r"'sessions\[0\].turns' is a list, too short"),
    (_changed(sessions__0__turns__1__text=...), r"'sessions\[0\].turns\[1\].text' is missing"),
    (_changed(sessions__0__turns__0__speeker="Ann"), r"'sessions\[0\].turns\[0\].speeker' is not a known key"),
    (_changed(sessions__0__date="8 May 2023"), r"'sessions\[0\].date' is '8 May 2023', not a date like 2023-05-08"),
    (_changed(sessions__0__date="2023-02-31"), r"'sessions\[0\].date' is '2023-02-31', not a date like"),
    (_changed(sessions__0__date="2023-05-08T13:56Z"), "not a date like 2023-05-08 or 2023-05-08T13:56"),
    (_changed(sessions__0__id="June"), r"'sessions\[1\].id' is 'June', as 'sessions\[0\].id' is; give each its own id"),
    (_changed(sessions__0__turns__0__id="t"), r"'sessions\[1\].turns\[0\].id' is 't', as 'sessions\[0\].turns\[0\].id' is;"),
    (_changed(questions=...), "'questions' is missing"),
    (_changed(questions__0__gold="dog"), r"'questions\[0\].gold' is not a known key"),
    (_changed(questions__0__answer=...), r"'questions\[0\].answer' is missing; give the gold answer, or \"unanswerable\""),
    (_changed(questions__0__answer=None), r"'questions\[0\].answer' is missing"),
    (_changed(questions__0__answer=""), r"'questions\[0\].answer' is empty; give the gold answer, or"),
    (_changed(questions__0__answer=" "), r"'questions\[0\].answer' is empty; give the gold answer, or"),
    (_changed(questions__0__question=""), r"'questions\[0\].question' is empty; give the question"),
    (json.dumps(_RECORD).replace('"questions":', '"sessions":'), "an object has the key 'sessions' twice"),
    (_changed(questions__0__answer=True), r"'questions\[0\].answer' is true, not text"),
    (_changed(questions__0__unanswerable="no"), r"'questions\[0\].unanswerable' is 'no', not true or false"),
    (_changed(questions__0__evidence="S1:1"), r"'questions\[0\].evidence' is 'S1:1', not a list"),
    (_changed(questions__1__evidence=["t", "D9:9"]), r"'questions\[1\].evidence\[1\]' is 'D9:9', which is no turn of the conv"),
    (_changed(questions__0__evidence_sessions=["S2"]), r"\[0\]' is 'S2', which is no session of the conversation; use the"),
    (_changed(questions__0__id="q"), r"'questions\[1\].id' is 'q', as 'questions\[0\].id' is;"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "sentence"), _MISTAKES)
def test_a_mistake_is_one_sentence_with_file_line_path_and_fix(file: Path, record: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        _read(_write(file, record))
    message = str(caught.value)
    assert message.startswith(f"{file}: line 1: ")
    assert "\n" not in message and "; " in message


def test_ids_are_unique_in_the_file(file: Path) -> None:
    with pytest.raises(
        UserError, match="line 3: conversation id 'c' is already on line 1; give each conversation its own"
    ):
        _read(_write(file, _RECORD, "", _RECORD))
    with pytest.raises(UserError, match="line 2: question id 'q' is already on line 1; give each question its own id"):
        _read(_write(file, _RECORD, {**_RECORD, "id": "d"}))


def test_mistakes_of_the_file_itself(file: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        _read(file)
    with pytest.raises(UserError, match="this is a folder"):
        _read(file.parent)
    with pytest.raises(UserError, match="line 1: holds no conversation"):
        _read(_write(file, ""))
    with pytest.raises(UserError, match="--dataset dialogues: names no file; name your own with --data"):
        DIALOGUES.open(None, {})
    file.write_bytes(json.dumps(_RECORD, ensure_ascii=False).replace("Rex", "R\xe9x").encode("latin-1"))
    with pytest.raises(UserError, match=r"line 1: .*UTF-8"):
        _read(file)


def test_check_reports_every_faulty_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [{**_RECORD, "id": f"c{i}", "questions": []} for i in range(3)]
    _write(file, good[0], _changed(id=...), good[1], good[0], '{"id"', good[2])
    assert main(["datasets", "check", str(file)]) == 2
    error = capsys.readouterr().err.splitlines()
    assert [line.partition(": line ")[2][0] for line in error[:3]] == ["2", "4", "5"]
    assert error[3:] == [
        "engram-eval: 3 records are faulty; correct them and check again, or run without them with --skip-bad-records"
    ]
    _write(file, *[{"id": "c", "sessions": 5}] * 80)
    assert main(["datasets", "check", str(file)]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 51 and "80 records are faulty, of which the first 50 are above; correct" in error[-1]


def test_a_run_sums_up_the_oddities_in_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(file, _changed(questions__1__date="2023-05-09"))
    arguments = ["--data", str(file), "--reader", "offline", "--judge", "offline", "--backend", "bm25", "--dry-run"]
    assert main(["run", *arguments]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("oddities ")]
    assert line == (
        "oddities  evidence sessions later than the question's date: kept (1); turns without text: kept (1); 2 kinds of "
        "oddities repaired or kept by rule ('engram-eval datasets check' lists them)"
    )


def test_a_sound_file_is_checked_and_run_without_naming_its_format(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(file, _RECORD)
    assert main(["datasets", "check", str(file)]) == 0
    assert "1 conversations, 2 sessions, 3 turns\n3 questions, 3 evidence turns\n" in capsys.readouterr().out
    assert main(["datasets", "check", str(file), "--data", str(file)]) == 2
    assert "two files are named" in capsys.readouterr().err
    run = tmp_path / "run"
    assert main(["run", "--data", str(file), "--backend", "bm25", "--out", str(run)]) == 0
    assert json.loads((run / "manifest.json").read_text())["dataset"]["headline"] == ["uncategorised", "count"]
    assert main(["run", "--dataset", "dialogues", "--backend", "bm25", "--dry-run"]) == 2


# --- the schema -------------------------------------------------------------------------------------------------

_VALID = Draft202012Validator(json_schema())
_BEYOND_THE_SCHEMA = ("give each its own id", "which is no turn", "which is no session", "not a date like")


def test_the_schema_in_the_docs_is_the_loaders() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json.loads(_SCHEMA.read_text("utf-8")) == json_schema(), (
        "write it again: python -m tests.datasets.test_dialogues"
    )


@pytest.mark.parametrize(("record", "sentence"), [pair for pair in _MISTAKES if not isinstance(pair[0], str)])
def test_the_schema_refuses_the_mistakes_that_a_schema_can_see(record: Any, sentence: str) -> None:
    unseen = ("'June'", "'t'", "'D9:9'", "'S2'", "'q'", "2023-02-31")
    assert _VALID.is_valid(record) == any(part in sentence for part in unseen)


def _loader_fault(path: Path, record: Any) -> str | None:
    try:
        _read(_write(path, record))
    except UserError as error:
        return str(error)
    return None


_name = st.text(min_size=1, max_size=4)
_date = st.dates().map(str) | st.datetimes().map(lambda d: d.isoformat(timespec="minutes")) | st.just("2023-02-31")


def _part(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional={key: value | st.none() for key, value in optional.items()})


_turn = _part({"speaker": _name, "text": st.text(max_size=4)}, {"id": _name})
_session = _part({"turns": st.lists(_turn, min_size=1, max_size=3)}, {"id": _name, "date": _date})
_question = _part(
    {"question": _name, "answer": st.text(max_size=4) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)},
    {
        "id": _name, "category": _name, "evidence": st.lists(st.just("S1:1") | _name, max_size=2),
        "evidence_sessions": st.lists(st.just("S1") | _name, max_size=2), "date": _date, "unanswerable": st.booleans(),
    },
)  # fmt: skip
_conversation = _part(
    {"id": _name, "sessions": st.lists(_session, min_size=1, max_size=3), "questions": st.lists(_question, max_size=3)},
    {},
)
_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "turns", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key in a JSON value."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@st.composite
def _mutated(draw: st.DrawFn) -> Any:
    """A sound record with a value replaced or deleted, or a key added."""
    record = copy.deepcopy(draw(_conversation))
    container, key = draw(st.sampled_from(list(_places(record))))
    match draw(st.sampled_from(["replace", "delete", "add"])):
        case "replace":
            container[key] = draw(_any_json)
        case "delete":
            del container[key]
        case _ if isinstance(container, dict):
            container[draw(_name)] = draw(_any_json)
    return record


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_conversation | _mutated())
def test_schema_and_loader_accept_the_same(tmp_path: Path, record: Any) -> None:
    """Apart from what a schema cannot say: ids that repeat or are unknown, and dates that no calendar has."""
    fault = _loader_fault(tmp_path / "my.jsonl", record)
    if _VALID.is_valid(record):
        assert fault is None or any(reason in fault for reason in _BEYOND_THE_SCHEMA), fault
    else:
        assert fault is not None


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.integers(0, 600).map(lambda end: json.dumps(_RECORD).encode()[:end]) | _any_json.map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_bytes_cause_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.jsonl"
    path.write_bytes(content)
    try:
        _read(path)
    except UserError as error:
        assert str(path) in str(error)


# --- conversion -------------------------------------------------------------------------------------------------


def _converted(dataset: Dataset, path: Path) -> Dataset:
    write_dialogues(dataset.samples(), path)
    return DIALOGUES.open(path, {})


@pytest.mark.parametrize(
    ("benchmark", "options"),
    [
        (SYNTHETIC, {"conversations": "1", "turns": "120"}),
        (SYNTHETIC_LONGMEMEVAL, {"histories": "6", "sessions": "4", "tokens": "2000"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_converted_dataset_reads_back_the_same(file: Path, benchmark: Benchmark, options: dict[str, str]) -> None:
    original = benchmark.open(None, options)
    converted = _converted(original, file)
    assert list(converted.samples()) == list(original.samples())
    assert set(converted.benchmark.headline) == set(original.benchmark.headline) & set(converted.benchmark.categories)


def test_the_oddities_of_the_benchmarks_survive_conversion(file: Path, tmp_path: Path) -> None:
    undated = copy.deepcopy(_LOCOMO)
    del undated["conversation"]["session_2_date_time"]
    sessions_only = copy.deepcopy(_LONGMEMEVAL)
    sessions_only["haystack_sessions"][0][0]["has_answer"] = False
    for name, content in {"locomo": undated, "longmemeval_s": _LONGMEMEVAL, "longmemeval_m": sessions_only}.items():
        source = tmp_path / f"{name}.json"
        source.write_text(json.dumps([content]))
        original = catalogue.recognise(source).open(source, {})
        converted = _converted(original, file)
        assert list(converted.samples()) == list(original.samples())
    assert converted.benchmark.tables == LONGMEMEVAL_S.tables  # evidence sessions without evidence turns


def test_real_data_reads_back_the_same(file: Path, real_data: Path) -> None:
    for name in ("locomo5_dev.json", "longmemeval_s_one.json", "longmemeval_oracle_one.json"):
        source = real_data / name
        original = catalogue.recognise(source).open(source, {})
        assert list(_converted(original, file).samples()) == list(original.samples())


def test_a_run_on_the_converted_file_gives_the_same_records(file: Path, tmp_path: Path) -> None:
    source = tmp_path / "locomo.json"
    source.write_text(json.dumps([{**_LOCOMO, "sample_id": f"conv-{i}"} for i in range(2)]))
    assert main(["datasets", "convert", str(source), "-o", str(file)]) == 0
    records = []
    for name, data in (("before", source), ("after", file)):
        run = tmp_path / name
        assert main(["run", "--data", str(data), "--backend", "bm25", "--budget", "60", "--out", str(run)]) == 0
        lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        keys = (
            "backend",
            "question_id",
            "category",
            "answer",
            "correct",
            "retrieved",
            "evidence_recall",
            "context_tokens",
        )
        records.append(sorted([line[key] for key in keys] for line in lines))
    assert records[0] == records[1]


def test_a_conversion_needs_an_output_file_that_is_not_its_input(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(file, _RECORD)
    before = file.read_bytes()
    assert main(["datasets", "convert", str(file), "--out", str(file)]) == 2
    assert "is the file that is read; name another with --out" in capsys.readouterr().err
    assert main(["datasets", "convert", str(file)]) == 2
    assert main(["datasets", "convert", str(file), "--out", str(file / "x.jsonl")]) == 2
    assert file.read_bytes() == before


if __name__ == "__main__":
    _SCHEMA.write_text(json.dumps(json_schema(), indent=2) + "\n", "utf-8")
