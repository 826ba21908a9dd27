"""The Python API: `import engram_eval as ee`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import engram_eval as ee
from engram_eval.system.event_loop import run_to_end
from tests.datasets.test_locomo import _RECORD
from tests.doubles import ContainsJudge, EchoReader


class MyMemory:
    """Written without `async`, and without any base class."""

    def open(self, conversation: ee.ConversationInfo, services: ee.Services) -> MyMemory:  # noqa: ARG002
        self.turns: list[ee.Turn] = []
        return self

    def ingest(self, session: ee.Session) -> None:
        self.turns += session.turns

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> ee.Context:  # noqa: ARG002
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in self.turns)
        return ee.Context(text, tuple(ee.Item((turn.id,), 1.0) for turn in self.turns))

    def close(self) -> None: ...


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two conversations of four questions each."""
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**_RECORD, "sample_id": f"conv-{i}"} for i in range(2)]))
    return path


def _evaluate(data: Path, out: Path, **values: Any) -> ee.Run:
    given: dict[str, Any] = {"reader": EchoReader, "judge": ContainsJudge(), "controls": False}
    return ee.evaluate(data=data, out=out, **{**given, **values})


def test_a_memory_of_ones_own_is_evaluated_beside_a_named_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _evaluate(data, tmp_path / "run", backends=[MyMemory(), "bm25"], budget=50)
    assert capsys.readouterr() == ("", "")
    assert list(run.summary.backends) == ["MyMemory", "bm25"]
    assert run.summary.complete
    assert run.errors == []
    records = list(run.records())
    assert len(records) == 16
    assert all(isinstance(record, ee.Record) for record in records)
    assert {record.retrieved[0] for record in records if record.backend == "MyMemory"} == {"D1:1"}
    assert len(run.frame()) == len(ee.load(run)) == 16
    assert "MyMemory" in run.table()
    assert str(run) == run.table()
    assert "<table>" in run._repr_html_()
    assert run.manifest.reader.name == "echo"
    assert run.manifest.judge.name == "contains"


def test_progress_is_printed_only_if_asked_for(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _evaluate(data, tmp_path / "run", backends=["bm25"], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "8 of 8 answers" in err


def test_a_dict_names_the_backends(data: Path, tmp_path: Path) -> None:
    run = _evaluate(
        data, tmp_path / "run", backends={"mine": MyMemory, "one": "tests.doubles:LumpingBackend", "bm25": "bm25"}
    )
    assert list(run.summary.backends) == ["mine", "one", "bm25"]
    assert run.manifest.backends["one"].backend == "tests.doubles:LumpingBackend"


def test_it_works_inside_a_running_event_loop(data: Path, tmp_path: Path) -> None:
    async def notebook() -> ee.Run:
        return _evaluate(data, tmp_path / "run", backends=["bm25"], limit=3)

    assert len(list(asyncio.run(notebook()).records())) == 3


def test_errors_are_records_and_a_run_is_resumed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    run = _evaluate(data, out, backends=["bm25"], reader="tests.doubles:FussyReader")
    assert {error.question for error in run.errors} == {"When was Ann born?"}
    from tests import doubles

    monkeypatch.setattr(doubles.FussyReader, "answer", doubles.EchoReader.answer)
    again = ee.evaluate(resume=run, judge=ContainsJudge())
    assert again.folder == out
    assert again.errors == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"backends": "engram"}, "backends: 'engram' is not a list"),
        ({"backends": [3]}, "backends: 'int' is int; a backend is a name"),
        ({"backends": [MyMemory(), MyMemory]}, "backends: two are called 'MyMemory'"),
        ({"backends": ["nope"]}, "there is no backend 'nope'"),
        ({"bugdet": 5}, "command line: there is no setting 'bugdet'; the settings are dataset, "),
        ({"budget": "5"}, "'budget' is '5', not a whole number"),
        ({"reader": object()}, "reader 'object'"),
        ({"judge": EchoReader}, "judge 'EchoReader' has no 'judge'"),
    ],
)
def test_a_users_fault_is_one_sentence(data: Path, tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ee.UserError, match=r"^[^\n]*$") as fault:
        _evaluate(data, tmp_path / "run", **{"backends": ["bm25"], **values})
    assert sentence in str(fault.value)


def test_answers_are_graded_from_a_file_and_from_a_mapping(data: Path, tmp_path: Path) -> None:
    gold = ["a dog", "1990", "that is not mentioned", "pets"]
    answers = {f"conv-{c}:q{q}": gold[q] for c in range(2) for q in range(4)}
    run = ee.grade(answers, data=data, out=tmp_path / "mapping", name="mine")
    assert run.summary.backends["mine"].mean("accuracy") == 1.0
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"question_id": q, "answer": a}) + "\n" for q, a in answers.items()))
    assert ee.grade(path, data=data, out=tmp_path / "file").summary.backends["answers"].mean("accuracy") == 1.0
    del answers["conv-1:q3"]
    part = ee.grade(answers, data=data, out=tmp_path / "part")
    assert [error.error for error in part.errors] == ["no answer in the given answers"]
    with pytest.raises(ee.UserError, match="the given answers: locomo has no question 'x'"):
        ee.grade({"x": "y"}, data=data, out=tmp_path / "unknown")


def test_runs_are_compared(data: Path, tmp_path: Path) -> None:
    first, second = (_evaluate(data, tmp_path / name, backends=[name]) for name in ("bm25", "dense"))
    comparison = ee.compare(first, second.folder, against="bm25 (bm25)")
    assert isinstance(comparison, ee.Comparison)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [("dense (dense)", "bm25 (bm25)")]
    assert "| dense (dense) |" in comparison.to_markdown()
    assert json.loads(json.dumps(comparison.to_json()))["mismatches"] == []
    assert "dense (dense)" in str(comparison)
    with pytest.raises(ee.UserError, match="no run is given"):
        ee.compare()


def test_every_name_is_there_and_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys, engram_eval as ee\n"
        "heavy = [n for n in sys.modules if n.startswith(('engram_eval.', 'pydantic', 'numpy', 'pandas', 'openai'))]\n"
        "assert not heavy, heavy\n"
        "import engram_eval.compare.comparison\n"
        "for name in ee.__all__: assert callable(getattr(ee, name)), name\n"
        "print(sorted(ee.__all__) == ee.__all__)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_ctrl_c_reaches_work_in_another_thread() -> None:
    """As in a notebook, where the event loop of the notebook holds the main thread."""
    program = (
        "import asyncio, os, signal, threading\n"
        "from engram_eval.system.event_loop import outside_event_loop, run_to_end\n"
        "def interrupt(): os.kill(os.getpid(), signal.SIGINT)\n"
        "async def work():\n"
        "    threading.Timer(0.2, interrupt).start()\n"
        "    try: await asyncio.sleep(60)\n"
        "    finally: print('cleaned up', flush=True)\n"
        "async def notebook():\n"
        "    try: outside_event_loop(lambda: run_to_end(work()))\n"
        "    except KeyboardInterrupt: print('interrupted', flush=True)\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(notebook())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert ended.stdout == "cleaned up\ninterrupted\n", ended.stderr


def test_a_result_comes_from_the_end_of_the_work() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert run_to_end(work()) == 7
