"""`cache` as it is typed: what it prints, and what it says where it cannot."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engram_eval.cli.main import parse
from engram_eval.errors import UserError
from engram_eval.llm import ResponseCache
from engram_eval.llm.cache.bundle import KEYS_FILE
from engram_eval.llm.cache.response_cache import Response, Vector, cache_file

Cli = Callable[..., str]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command with `tmp_path / "cache"` as the cache folder; returns what it prints."""
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object) -> str:
        options = parse(["cache", *map(str, arguments)])
        assert options.command(options) == 0
        return capsys.readouterr().out

    return run


def _filled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1_700_000_000.0, 1_700_100_000.0, 1_700_150_000.0, 1_700_200_000.0])
    monkeypatch.setattr("time.time", lambda: next(times))
    cache = ResponseCache(cache_file(folder))
    big = Response("Paris", "stop", 1_000_000, 500_000, 100_000, 0.5)
    cache.put(b"a" * 20, big, endpoint="https://api.openai.com/v1", model="gpt-4o-mini")
    cache.put(b"b" * 20, big, endpoint="http://[fe80::1]:8000/v1", model="qwen\x1b[2J")
    cache.put(b"e" * 20, big, endpoint="https://api.openai.com/v1", model="gpt-4o-mini")
    vectors = {letter * 20: Vector(np.ones(3, np.float32), 50, 0.1) for letter in (b"c", b"d")}
    cache.put_vectors(vectors, endpoint="https://api.openai.com/v1", model="text-embedding-3-small")
    cache.close()


def test_stats_report_what_is_kept_and_what_it_cost(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(tmp_path / "cache", monkeypatch)
    first, *table = cli("stats").splitlines()
    assert re.fullmatch(re.escape(str(cache_file(tmp_path / "cache"))) + r": \d+\.\d MB", first)
    rows = [re.split(r"\s{2,}", line.strip()) for line in table if line.strip("─ ")]
    heading = ["model", "answers", "embeddings", "prompt tokens", "completion tokens", "dollars", "oldest, newest"]
    assert rows == [
        ["http://[fe80::1]:8000/v1"],
        heading,
        ["qwen⟨U+001B⟩[2J", "1", "0", "1,000,000", "100,000", "–", "2023-11-16"],
        ["https://api.openai.com/v1"],
        heading,
        ["gpt-4o-mini", "2", "0", "2,000,000", "200,000", "0.3450", "2023-11-14, 2023-11-16"],
        ["text-embedding-3-small", "0", "2", "100", "0", "0.0000", "2023-11-17"],
    ]


def test_stats_use_a_price_file_if_one_is_named(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(tmp_path / "cache", monkeypatch)
    prices = tmp_path / "prices.toml"
    prices.write_text('[models]\n"gpt-4o-mini" = { input = 1, output = 10 }\n')
    assert "4.0000" in cli("stats", "--prices", prices)


def test_stats_without_a_cache_are_one_sentence_and_create_none(cli: Cli, tmp_path: Path) -> None:
    assert (
        cli("stats")
        == f"{cache_file(tmp_path / 'cache')}: there is no response cache yet; a run with a model creates it\n"
    )
    assert not (tmp_path / "cache").exists()


def test_stats_of_an_empty_cache_and_of_a_broken_one(cli: Cli, tmp_path: Path) -> None:
    path = cache_file(tmp_path / "cache")
    ResponseCache(path).close()
    assert cli("stats").endswith("MB, still empty\n")
    path.write_bytes(b"not a database, whatever its name is" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        cli("stats")


def test_what_is_exported_can_be_imported_elsewhere(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "run.jsonl.gz"
    _filled(tmp_path / "cache", monkeypatch)
    assert cli("export", bundle) == f"{bundle}: 3 answers and 2 embeddings written\n"
    table = cli("stats").splitlines()[1:]
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "elsewhere"))
    path = cache_file(tmp_path / "elsewhere")
    nothing, everything = "0 answers and 0 embeddings", "3 answers and 2 embeddings"
    assert cli("import", bundle) == f"{bundle}: {everything} added to {path}; {nothing} were already there\n"
    assert cli("import", bundle) == f"{bundle}: {nothing} added to {path}; {everything} were already there\n"
    assert cli("stats").splitlines()[1:] == table


def test_a_runs_export_holds_what_it_used(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "run.jsonl.gz"
    _filled(tmp_path / "cache", monkeypatch)
    for name, letters in (("one", "b"), ("two", "bc")):
        (tmp_path / name).mkdir()
        (tmp_path / name / KEYS_FILE).write_text("".join(f"{(letter * 20).encode().hex()}\n" for letter in letters))
    written = cli("export", bundle, "--run", tmp_path / "one", "--run", tmp_path / "two")
    assert written == f"{bundle}: 1 answer and 1 embedding written\n"
    assert [json.loads(line).get("model") for line in gzip.decompress(bundle.read_bytes()).splitlines()] == [
        None,
        "qwen\x1b[2J",
        "text-embedding-3-small",
    ]


def test_an_impossible_request_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    for arguments in (("export", tmp_path / "x"), ("import", tmp_path / "x"), ("import", tmp_path)):
        with pytest.raises(UserError):
            cli(*arguments)
    assert list(tmp_path.iterdir()) == []
