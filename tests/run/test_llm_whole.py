"""Runs with a model as users have them: killed, resumed within a budget, two at once, published and repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.llm.cost.prices import Prices
from engram_eval.results.folder import RunFolder
from tests.conftest import KEY
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import Server, Step, sends
from tests.model import plays
from tests.run.interrupting import wait_until

_TIMELESS = ("retrieval_s", "ingest_s", "cached", "contended")  # of the machine, not of the model


pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    text = json.dumps(_RECORD)
    path.write_text(f"[{', '.join(text.replace('conv-7', f'c{i}').replace('dog', f'dog {i}') for i in range(4))}]")
    return path


def _command(data: Path, out: Path, server: Server, *arguments: str) -> list[str]:
    backends = ["--backend", "engram:paper", "--backend", "bm25", "--no-controls"]
    model = ["--model", "gpt-4o-mini", "--base-url", server.url]
    return ["run", "--data", str(data), *backends, *model, "--out", str(out), *arguments]


def _records(run: Path, *without: str) -> list[dict[str, Any]]:
    records = {}
    for line in (run / "records.jsonl").read_text().splitlines():
        record = {name: value for name, value in json.loads(line).items() if name not in without}
        records[record["backend"], record["question_id"]] = record
    return [records[key] for key in sorted(records)]


def _sent(server: Server) -> Counter[str]:
    return Counter(json.dumps(asked.body, sort_keys=True) for asked in server.asked)


def _slow(body: dict[str, Any]) -> Step:
    step = plays()(body)
    return Step(step.status, step.body, step.headers, before=lambda: time.sleep(0.02))


def test_kill_9_during_paid_calls_and_resume(data: Path, tmp_path: Path) -> None:
    """Every answer that the server gave is used, and the run knows what it has spent: ingestion, answers and verdicts
    alike; of the calls under way, what they may have cost. Only what the server had not answered yet is asked again.
    """
    run = tmp_path / "run"
    with Server(answer=_slow) as server:
        budget = ["--max-cost", "0.03", "--max-in-flight", "3"]
        command = [sys.executable, "-m", "engram_eval", *_command(data, run, server, *budget)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: server.answered >= 25)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.2)  # what was on its way when it died
        before = _sent(server)
        assert sum(before.values()) >= 25
        spent = RunFolder(run).spent_usd()
        assert _paid(server) <= spent <= 0.03
        assert main(["run", "--resume", str(run), "--max-cost", f"{spent:.6f}"]) == 2
        assert _sent(server) == before
        assert main(["run", "--resume", str(run), "--max-cost", "1"]) == 0
        again = sum(count - 1 for count in _sent(server).values())
        assert again <= 3  # those under way
        assert main(_command(data, tmp_path / "whole", server)) == 0
    costs = ("cost_usd", "answer_s", "judge_s", "judge", "ingest_cost_usd")
    assert _records(run, *_TIMELESS, *costs) == _records(tmp_path / "whole", *_TIMELESS, *costs)


def test_a_budget_covers_a_run_and_its_resumptions(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=plays()) as server:
        assert main(_command(data, tmp_path / "run", server, "--max-cost", "0.002")) == 2
        assert "of --max-cost $0.002 are spent" in capsys.readouterr().err
        assert main(["run", "--resume", str(tmp_path / "run")]) == 2  # a smaller call may still fit, and no more
        assert RunFolder(tmp_path / "run").spent_usd() <= 0.002
        assert main(["run", "--resume", str(tmp_path / "run"), "--max-cost", "1"]) == 0
        assert max(_sent(server).values()) == 1
    usage = json.loads((tmp_path / "run" / "manifest.json").read_text())["usage"]
    spent = sum(row["spent_usd"] for row in usage.values())
    assert 0 < spent <= 1


def test_two_runs_at_once_on_one_cache(data: Path, tmp_path: Path) -> None:
    with Server(answer=_slow) as server:
        command = [sys.executable, "-m", "engram_eval", *_command(data, tmp_path / "one", server)]
        other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: bool(server.asked))
        assert main(_command(data, tmp_path / "two", server)) == 0
        _, err = other.communicate(timeout=120)
        assert other.returncode == 0, err
        assert max(_sent(server).values()) <= 2  # once each, if they come to a question at the same moment
    assert _records(tmp_path / "one", *_TIMELESS) == _records(tmp_path / "two", *_TIMELESS)


def test_a_published_run_is_repeated_elsewhere_with_no_server(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "published.jsonl.gz"
    with Server(answer=plays()) as server:
        assert main(_command(data, tmp_path / "run", server)) == 0
    assert main(["cache", "export", str(bundle), "--run", str(tmp_path / "run")]) == 0
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("OPENAI_API_KEY")
    manifest = str(tmp_path / "run" / "manifest.json")
    repeat = ["run", manifest, "--data", str(data), "--replay", "--out"]
    assert main([*repeat, str(tmp_path / "too-early")]) == 2
    assert "holds no answer" in capsys.readouterr().err
    assert main(["cache", "import", str(bundle)]) == 0
    assert main([*repeat, str(tmp_path / "again")]) == 0
    assert _records(tmp_path / "run", *_TIMELESS) == _records(tmp_path / "again", *_TIMELESS)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("run", "again")]
    scores = [{label: (f["accuracy"], f["f1"], f["answer_s"]) for label, f in s["backends"].items()} for s in summaries]
    assert scores[0] == scores[1]


def test_the_key_is_in_no_file_that_a_run_wrote(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert main(_command(data, tmp_path / "run", server, "--keep-memories")) == 0
    assert main(["cache", "export", str(tmp_path / "bundle.jsonl.gz")]) == 0
    cache = Path(os.environ["ENGRAM_EVAL_CACHE"])
    files = [path for folder in (tmp_path, cache) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_each_role_may_have_its_own_endpoint_and_a_key_goes_nowhere_else(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_API_KEY", "sk-of-the-judge-0000000000")
    with Server(answer=plays()) as common, Server(answer=plays()) as judge, Server(answer=plays()) as router:
        own = ["--judge-base-url", judge.url, "--judge-model", "j", "--router-base-url", router.url]
        assert main(_command(data, tmp_path / "run", common, *own)) == 0
        keys = [{asked.headers["authorization"] for asked in server.asked} for server in (common, judge, router)]
        models = [{asked.body["model"] for asked in server.asked} for server in (common, judge, router)]
    assert keys[0] == {f"Bearer {KEY}"}
    assert keys[1] == {"Bearer sk-of-the-judge-0000000000"}
    assert KEY not in "".join(keys[2])
    assert models == [{"gpt-4o-mini"}, {"j"}, {"gpt-4o-mini"}]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["models"]["judge"] == {"model": "j", "endpoint": judge.url, "served": []}
    assert manifest["models"]["router"]["endpoint"] == router.url


def _paid(server: Server) -> float:
    """What the calls that the server answered cost, by the price table and the tokens that it reports."""
    price = Prices().of("gpt-4o-mini")
    assert price is not None
    total = 0.0
    for asked in server.asked:
        usage = json.loads(plays()(asked.body).body)["usage"]
        total += price.cost(usage["prompt_tokens"], usage["completion_tokens"])
    return total


def test_ctrl_c_while_sessions_are_extracted_asks_nothing_twice(data: Path, tmp_path: Path) -> None:
    def slow(body: dict[str, Any]) -> Step:
        step = plays()(body)
        return Step(step.status, step.body, step.headers, before=lambda: time.sleep(0.05))

    with Server(answer=slow) as server:
        command = [sys.executable, "-m", "engram_eval", *_command(data, tmp_path / "run", server)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: server.at_once > 0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert main(["run", "--resume", str(tmp_path / "run")]) == 0
        assert max(_sent(server).values()) == 1


def test_a_run_with_an_endpoints_embeddings_is_repeated_elsewhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(body: dict[str, Any]) -> Step:
        if "input" not in body:
            return plays()(body)
        rows = [
            {"index": i, "embedding": [float(len(text)), float(text.count("dog")), 1.0]}
            for i, text in enumerate(body["input"])
        ]
        return sends({"data": rows, "usage": {"prompt_tokens": 3 * len(rows)}})

    with Server(answer=answer) as server:
        assert main(_command(data, tmp_path / "run", server, "--embedder", "openai:tiny")) == 0
    records = _records(tmp_path / "run")
    assert {r["ingest_cost_usd"] for r in records if r["backend"] == "engram:paper"} == {None}  # tiny has no price
    assert {r["ingest_cost_usd"] for r in records if r["backend"] == "bm25"} == {0.0}
    assert main(["cache", "export", str(tmp_path / "bundle.jsonl.gz"), "--run", str(tmp_path / "run")]) == 0
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "elsewhere"))
    assert main(["cache", "import", str(tmp_path / "bundle.jsonl.gz")]) == 0
    manifest = str(tmp_path / "run" / "manifest.json")
    assert main(["run", manifest, "--data", str(data), "--replay", "--out", str(tmp_path / "again")]) == 0
    assert _records(tmp_path / "run", *_TIMELESS) == _records(tmp_path / "again", *_TIMELESS)


def test_a_password_in_an_address_is_refused_and_written_nowhere(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = ["--router-base-url", "http://me:hunter2@host/v1", "--reader", "offline", "--judge", "offline"]
    assert main(["run", "--data", str(data), "--backend", "bm25", "--out", str(tmp_path / "run"), *urls]) == 2
    output = capsys.readouterr()
    assert "holds a password" in output.err
    assert "hunter2" not in output.err + output.out
    assert not (tmp_path / "run").exists()
