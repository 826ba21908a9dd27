"""The run folder: nothing that was written is lost, and no torn line is read."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_eval.errors import UserError
from engram_eval.results.contexts import Contexts
from engram_eval.results.folder import RecordWriter, RunFolder, default_folder
from engram_eval.results.record import Record
from tests.records import manifest, record

_RECORDS = st.builds(
    record,
    backend=st.sampled_from(["a", "b"]),
    question_id=st.sampled_from([f"q{i}" for i in range(5)]),
    answer=st.text(max_size=20),
    question=st.text(max_size=20),
    error=st.none() | st.text(max_size=5),
    retrieval_s=st.floats(0, 10),
    retrieved=st.lists(st.text(max_size=4), max_size=3),
)  # fmt: skip
_quick = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _fresh(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir(exist_ok=True)
    folder.records_path.unlink(missing_ok=True)
    return folder


def _append(folder: RunFolder, records: list[Record]) -> None:
    with folder.appending() as writer:
        for item in records:
            writer.append(item)


def _latest(records: list[Record]) -> list[Record]:
    """The last record of each question, in the order in which they were written."""
    return [item for i, item in enumerate(records) if all(later.key != item.key for later in records[i + 1 :])]


@_quick
@given(st.lists(_RECORDS, max_size=12))
def test_records_are_read_as_written_and_the_last_of_a_question_counts(tmp_path: Path, records: list[Record]) -> None:
    folder = _fresh(tmp_path)
    _append(folder, records)
    assert list(folder.records()) == _latest(records)


@_quick
@given(st.lists(_RECORDS, min_size=1, max_size=6), st.data())
def test_a_file_torn_anywhere_keeps_every_whole_line_and_can_be_appended_to(
    tmp_path: Path, records: list[Record], data: st.DataObject
) -> None:
    folder = _fresh(tmp_path)
    _append(folder, records)
    whole = folder.records_path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    folder.records_path.write_bytes(whole[:cut])
    survived = records[: whole[:cut].count(b"\n")]
    assert list(folder.records()) == _latest(survived)
    added = record(backend="c", question_id="new")
    _append(folder, [added])
    assert list(folder.records())[-1] == added
    assert folder.records_path.read_bytes().count(b"\n") == len(survived) + 1


def test_a_record_is_one_json_line_with_the_fields_of_the_design(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    _append(folder, [record(answer="two\nlines", question="ü👍")])
    (line,) = folder.records_path.read_text("utf-8").splitlines()
    values = json.loads(line)
    designed = (
        "backend conversation_id question_id category unanswerable question gold answer status error correct judge f1 "
        "context_tokens prompt_tokens completion_tokens cost_usd retrieval_s answer_s judge_s cached retrieved evidence "
        "evidence_recall evidence_all truncated"
    )
    assert set(designed.split()) <= set(values)
    assert values["question"] == "ü👍"


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    _append(folder, [record(), record()])
    lines = folder.records_path.read_text().splitlines()
    folder.records_path.write_text("\n".join([lines[0], "{broken", lines[1]]) + "\n")
    with pytest.raises(UserError, match=r"records\.jsonl: line 2: column 2: not JSON .*; delete the line"):
        list(folder.records())
    folder.records_path.write_text('{"backend": "a"}\n')
    with pytest.raises(
        UserError, match=r"line 1: is in an older format, and this version of engram_eval reads format 2"
    ):
        list(folder.records())


def test_a_record_without_sessions_is_read(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    values = record().to_json()
    del values["retrieved_sessions"], values["evidence_sessions"]
    folder.records_path.write_text(json.dumps(values) + "\n")
    assert list(folder.records()) == [record(retrieved_sessions=None, evidence_sessions=None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("correct", "yes"),
        ("retrieval_s", "abc"),
        ("backend", ["a"]),
        ("retrieved", None),
        ("cached", 1),
        ("evidence_sessions", "S1"),
    ],
)
def test_a_record_edited_by_hand_is_named(tmp_path: Path, field: str, value: object) -> None:
    folder = _fresh(tmp_path)
    folder.records_path.write_text(json.dumps({**record().to_json(), field: value}) + "\n")
    with pytest.raises(UserError, match=rf"records\.jsonl: line 1: '{field}.*' is .*, not .*; delete the line"):
        list(folder.records())


def test_half_a_surrogate_pair_in_an_error_is_written(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    _append(folder, [record(error="bad \udcff name")])
    assert next(folder.records()).error == "bad \\udcff name"


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    folder = _fresh(tmp_path)
    with (
        folder.appending(),
        pytest.raises(UserError, match="another process is writing"),
        RunFolder(folder.path).appending(),
    ):
        pass


def test_of_many_runs_that_begin_in_one_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    start = Barrier(8)

    def begin(number: int) -> bool:
        folder = RunFolder(tmp_path / "run")
        start.wait()
        try:
            folder.create(manifest(budget=number + 1))
        except UserError:
            return False
        return folder.manifest().budget == number + 1

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(begin, range(8))) == 1


def test_default_folders_that_are_chosen_at_once_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        chosen = list(threads.map(lambda _: default_folder("locomo"), range(16)))
    assert len(set(chosen)) == 16
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in chosen} == {0o700}


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run")
    folder.create(manifest())
    with pytest.raises(UserError, match="holds a run already; finish it with --resume"):
        folder.create(manifest())


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is .* the folder of a run"):
        RunFolder(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(UserError, match=r"manifest\.json: the value is a list, not an object; name the folder"):
        RunFolder(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text('{"settings": {}}')
    with pytest.raises(
        UserError, match=r"is in an older format, and this version of engram_eval reads format 2; name the folder"
    ):
        RunFolder(tmp_path).manifest()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").create(manifest())


def test_a_full_disk_is_reported_in_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(UserError, match=r"\(no space left on the device\); free some space"),
        full.open("wb", buffering=0) as file,
        Contexts(tmp_path / "contexts.sqlite") as contexts,
    ):
        RecordWriter(Path("results/x/records.jsonl"), file, contexts).append(record())


def test_records_as_fields() -> None:
    assert set(record().to_json()) == set(Record.model_fields)
