"""Third parties' readers and judges: what they are made with, their settings, and a model that is cached and budgeted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.llm.cost.prices import Prices
from engram_eval.services import RoleServices
from engram_eval.types import Question, Verdict
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import Server, Step, says

pytestmark = pytest.mark.usefixtures("key")
_SCHEMA = {"type": "object", "properties": {"same": {"type": "boolean"}}, "required": ["same"]}


class TypedJudge:
    """Asks a model whether two answers are the same, and has a setting."""

    name, agreement, asks_model = "typed", "", True

    def __init__(self, services: RoleServices, lenient: bool = False, prefix: str = "Same?") -> None:
        self.model = services.llm.model
        self._llm, self._lenient, self._prefix = services.llm, lenient, prefix
        self._count = services.tokens.count

    async def judge(self, question: Question, answer: str) -> Verdict:
        text = f"{self._prefix} {question.text} | {question.gold} | {answer}"
        completion = await self._llm.chat(messages=[{"role": "user", "content": text}], schema=_SCHEMA)
        assert completion.data is not None
        correct = completion.data["same"] or self._lenient
        return Verdict(
            correct,
            (correct,),
            f"{self._count(text)} tokens",
            cost_usd=completion.cost_usd,
            latency_s=completion.latency_s,
        )


class OddJudge:
    """Needs a setting that nobody gives it."""

    name, agreement = "odd", ""

    def __init__(self, services: RoleServices, needed: int) -> None: ...

    async def judge(self, question: Question, answer: str) -> Verdict:
        raise NotImplementedError


def _model(body: dict[str, Any]) -> Step:
    return says(json.dumps({"same": "dog" in body["messages"][-1]["content"]}), prompt=100, completion=5)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([_RECORD]))
    return path


def _run(data: Path, out: Path, server: Server, *arguments: str) -> int:
    common = ["--backend", "bm25", "--no-controls", "--reader", "tests.doubles:EchoReader"]
    judge = ["--judge", f"{__name__}:TypedJudge", "--model", "gpt-4o-mini", "--base-url", server.url]
    return main(["run", "--data", str(data), "--out", str(out), *common, *judge, *arguments])


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "records.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: str(record["question_id"]))


def test_a_third_partys_judge_has_the_client_the_cache_and_the_budget(data: Path, tmp_path: Path) -> None:
    price = Prices().of("gpt-4o-mini")
    assert price is not None
    with Server(answer=_model) as server:
        assert _run(data, tmp_path / "one", server) == 0
        assert len(server.asked) == 4
        assert _run(data, tmp_path / "two", server) == 0
        assert _run(data, tmp_path / "replay", server, "--replay") == 0
        assert len(server.asked) == 4
    one, two = _records(tmp_path / "one"), _records(tmp_path / "two")
    assert [r["judge"]["cost_usd"] for r in one] == pytest.approx([price.cost(100, 5)] * 4)
    assert [(r["correct"], r["judge"], r["judge_s"]) for r in one] == [
        (r["correct"], r["judge"], r["judge_s"]) for r in two
    ]
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert manifest["usage"]["judge"]["calls"] == 4
    assert manifest["usage"]["judge"]["spent_usd"] == pytest.approx(4 * price.cost(100, 5))
    assert manifest["models"] == {"judge": {"model": "gpt-4o-mini", "endpoint": server.url, "served": []}}
    assert (tmp_path / "one" / "cache_keys.txt").read_text().count("\n") == 4
    repeated = json.loads((tmp_path / "two" / "manifest.json").read_text())["usage"]["judge"]
    assert (repeated["cached"], repeated["spent_usd"]) == (4, 0)


def test_its_calls_stop_at_the_budget(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(answer=_model) as server:
        assert _run(data, tmp_path / "run", server, "--max-cost", "0.00001") == 2
        assert not server.asked
    assert "--max-cost" in capsys.readouterr().err


def test_its_settings_are_set_on_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=_model) as server:
        lenient = ["--set", "TypedJudge.lenient=true", "--set", "TypedJudge.prefix=Alike?"]
        assert _run(data, tmp_path / "run", server, *lenient) == 0
        assert all(asked.body["messages"][0]["content"].startswith("Alike?") for asked in server.asked)
        assert all(record["correct"] for record in _records(tmp_path / "run"))
        for setting, sentence in (
            ("strict=true", "has no setting 'strict'; its settings are lenient, prefix"),
            ("lenient=very", "'very' is not true or false"),
        ):
            assert _run(data, tmp_path / "bad", server, "--set", f"TypedJudge.{setting}") == 2
            assert sentence in capsys.readouterr().err


def test_a_key_that_is_missing_stops_the_run_before_it_starts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    arguments = ["run", "--data", str(data), "--out", str(tmp_path / "run"), "--reader", "offline", "--model", "m"]
    assert main([*arguments, "--judge", f"{__name__}:TypedJudge"]) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_object_that_is_not_a_judge_is_refused_in_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "--data", str(data), "--out", str(tmp_path / "run"), "--reader", "offline"]
    for judge, sentence in (
        (
            "tests.doubles:EchoReader",
            "judge 'tests.doubles:EchoReader' has no 'judge'; see engram_eval/judges/judge.py",
        ),
        (f"{__name__}:OddJudge", "cannot be made (TypeError: "),
        ("offline:strict", "'offline' has no variants; name it without 'strict'"),
        ("llm:nope", "--judge llm:nope: locomo has no judge 'nope'; name llm or llm:strict"),
    ):
        assert main([*arguments, "--judge", judge]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
