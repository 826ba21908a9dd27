"""A memory in a process of its own: it equals the same memory in this process, and costs its own questions only if it fails."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from engram_eval.backends.backend import Services
from engram_eval.backends.remote.memory import RemoteMemory
from engram_eval.backends.remote.protocol import RemoteError
from engram_eval.cli.main import main
from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder
from engram_eval.run.addresses import reach
from engram_eval.types import Context, Conversation
from tests.backends.remote.processes import first_hit, has_ended, talk
from tests.datasets.test_locomo import _RECORD
from tests.run.interrupting import wait_until

_HERE = Path(__file__).parent
_NEWEST = f"worker:{sys.executable} {_HERE / 'newest_worker.py'}"
_ROLES = ["--reader", "offline", "--judge", "offline", "--no-controls"]
_EACH = ("open", "ingest", "ready", "retrieve")


def _bad(behaviour: str, at: str, folder: Path) -> str:
    return f"worker:{sys.executable} {_HERE / 'bad_worker.py'} {behaviour} {at} {folder}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two conversations of four questions."""
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**_RECORD, "sample_id": f"conv-{i}"} for i in range(2)]))
    return path


def _run(data: Path, out: Path, *arguments: str) -> int:
    return main(["run", "--data", str(data), "--out", str(out), *_ROLES, *arguments])


def _measured(run: Path, backend: str) -> list[dict[str, Any]]:
    records = [r.to_json() for r in RunFolder(run).records() if r.backend == backend]
    return [{key: value for key, value in r.items() if not key.endswith("_s") and key != "backend"} for r in records]


def test_a_worker_is_measured_like_the_same_memory_in_this_process(tmp_path: Path) -> None:
    arguments = ["run", "--dataset", "synthetic", "--set", "dataset.conversations=2", "--limit", "8", "--budget", "150"]
    backends = ["--backend", _NEWEST, "--backend", "tests.doubles:NewestHitsBackend"]
    assert main([*arguments, *_ROLES, *backends, "--out", str(tmp_path / "run")]) == 0
    worker = _measured(tmp_path / "run", "newest")
    assert worker == _measured(tmp_path / "run", "tests.doubles:NewestHitsBackend")
    assert len(worker) == 8
    assert any(record["retrieved"] for record in worker)


def test_the_manifest_records_the_command_the_settings_and_what_the_worker_says_of_itself(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(data, tmp_path / "run", "--backend", _NEWEST, "--set", "newest.k=5") == 0
    entry = RunFolder(tmp_path / "run").manifest().backends["newest"]
    assert (entry.backend, entry.settings, entry.context_limit) == (_NEWEST, {"k": "5"}, "budget")
    assert entry.told is not None
    assert entry.told["version"] == "1.2"
    assert entry.told["settings"] == {"speaker": "", "k": 0, "loud": False}
    assert f"elsewhere newest is {_NEWEST}, version 1.2" in capsys.readouterr().err


def test_a_run_of_workers_is_resumed_by_its_folder_or_its_command(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", _NEWEST) == 0
    records = run / "records.jsonl"
    records.write_text("".join(line + "\n" for line in records.read_text().splitlines()[:-1]))
    assert main(["run", "--resume", str(run)]) == 0
    assert main(["run", "--resume", str(run), "--backend", _NEWEST]) == 0
    assert len(_measured(run, "newest")) == 8


def test_settings_reach_the_memory_in_the_types_of_their_defaults(
    services: Services, conversation: Conversation
) -> None:
    async def ask(memory: RemoteMemory) -> Any:
        return await memory.retrieve("tell me", asked_at=datetime(2023, 9, 1, 12), budget=916)

    context = talk(_NEWEST, services, conversation, ask, k="7", speaker="Ann", loud="true")
    assert context == Context("Ann 7 True ['Ann', 'Bob'] 2023-09-01 12:00:00 916 9")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("newest.top=5", "backend 'newest' has no setting 'top'; its settings are speaker, k, loud"),
        ("mine.k=5", "names none of dataset, newest, offline"),
    ],
)
def test_an_unknown_setting_is_refused_before_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    assert _run(data, tmp_path / "run", "--backend", _NEWEST, "--set", option) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_wrong_value_costs_the_questions_of_that_memory(data: Path, tmp_path: Path) -> None:
    arguments = ["--backend", _NEWEST, "--backend", "bm25", "--set", "newest.k=many"]
    assert _run(data, tmp_path / "run", *arguments) == 3
    errors = {r["error"] for r in _measured(tmp_path / "run", "newest")}
    assert errors == {"ingest: RemoteError: ValueError: the setting k is 'many', not a whole number"}
    assert {r["status"] for r in _measured(tmp_path / "run", "bm25")} == {"ok"}


def test_two_workers_of_one_name_and_one_that_takes_a_built_in_name_have_labels_of_their_own(
    data: Path, tmp_path: Path
) -> None:
    script = tmp_path / "bm25.py"
    script.write_text((_HERE / "newest_worker.py").read_text().replace('name="newest"', 'name="bm25"'))
    named = [f"worker:{sys.executable} {script}", _NEWEST, f"{_NEWEST} again", "bm25"]
    backends = [argument for name in named for argument in ("--backend", name)]
    assert _run(data, tmp_path / "run", *backends) == 0
    assert list(RunFolder(tmp_path / "run").manifest().backends) == ["worker:bm25", "newest", "newest-2", "bm25"]


def test_an_experiment_file_gives_a_worker_a_label_and_settings(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "variants.toml"
    file.write_text(f'backends = ["five"]\n[variants.five]\nbackend = "{_NEWEST}"\nk = 5\n')
    assert main(["run", str(file), "--data", str(data), "--out", str(tmp_path / "run"), *_ROLES]) == 0
    entry = RunFolder(tmp_path / "run").manifest().backends["five"]
    assert (entry.backend, entry.settings) == (_NEWEST, {"k": 5})


def test_a_worker_runs_in_another_environment_that_has_no_engram_eval(data: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    without = subprocess.run([str(python), "-c", "import engram_eval"], cwd=tmp_path, env={}, capture_output=True)
    assert without.returncode == 1
    script = tmp_path / "own.py"
    script.write_text(
        "import importlib.util\n"
        "assert importlib.util.find_spec('engram_eval') is None\n"
        "assert importlib.util.find_spec('pydantic') is None\n"
        + (_HERE / "newest_worker.py").read_text().replace("from __future__ import annotations\n", "")
    )
    assert _run(data, tmp_path / "run", "--backend", f"worker:{python} {script}") == 0


def test_two_conversations_share_nothing(services: Services, conversation: Conversation) -> None:
    """Two processes, in folders of their own, each with its own sessions only."""
    backend = reach(_NEWEST, 60)

    async def count(memory: RemoteMemory) -> str:
        context = await memory.retrieve("tell me", asked_at=None, budget=None)
        assert isinstance(context, Context)
        return context.text.split()[-1]

    async def both() -> tuple[str, str]:
        folders = [services.folder / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        one, two = [
            await backend.open(conversation.info, Services(services.embedder, services.tokens, folder))
            for folder in folders
        ]
        await one.ingest(conversation.sessions[0])
        await two.ingest(conversation.sessions[1])
        await two.ingest(conversation.sessions[2])
        counts = await count(one), await count(two)
        await one.close()
        await two.close()
        return counts

    assert asyncio.run(both()) == ("4", "5")


@pytest.mark.parametrize("at", _EACH)
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("crashes", "the worker ended with exit code 3 before it answered '{at}'; its stderr ends in loading / MemoryError"),
        ("killed", "the worker was killed by SIGKILL before it answered '{at}'"),
        ("half-a-line", "the worker ended with exit code 0 in the middle of a line, '{\"id\": "),
        ("noise", "the worker printed 'Loading model ... 100 %', which is no reply; print to stderr instead"),
        ("another-id", "the worker answered message 99 when it was sent message "),
        ("error", "no index for this"),
    ],
)  # fmt: skip
def test_a_fault_is_one_clear_sentence(
    services: Services, conversation: Conversation, tmp_path: Path, behaviour: str, message: str, at: str
) -> None:
    with pytest.raises(RemoteError) as raised:
        talk(_bad(behaviour, at, tmp_path), services, conversation, first_hit)
    assert str(raised.value).startswith(message.replace("{at}", at))
    assert "\n" not in str(raised.value)
    assert has_ended(tmp_path / "worker.pid")


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("ingest", "the worker's reply to 'ingest' is not understood: 'warnings' is 1, not a list"),
        ("ready", "the worker's reply to 'ready' is not understood: 'ready' is 7, not true or false"),
        ("retrieve", "the worker's reply to 'retrieve' is not understood: 'hits[0].text' is 3, not text"),
    ],
)
def test_a_reply_of_the_wrong_form_is_described(
    services: Services, conversation: Conversation, tmp_path: Path, at: str, message: str
) -> None:
    with pytest.raises(RemoteError) as raised:
        talk(_bad("lies", at, tmp_path), services, conversation, first_hit)
    assert str(raised.value).startswith(message)


def test_a_line_of_100_MB_is_refused_and_the_worker_stopped(  # noqa: N802
    services: Services, conversation: Conversation, tmp_path: Path
) -> None:
    with pytest.raises(RemoteError, match="the worker sent a line of more than 16,777,216 bytes"):
        talk(_bad("100-MB", "retrieve", tmp_path), services, conversation, first_hit)
    assert has_ended(tmp_path / "worker.pid")


def test_a_worker_that_closes_its_output_is_stopped(
    services: Services, conversation: Conversation, tmp_path: Path
) -> None:
    with pytest.raises(RemoteError, match="the worker closed its output before it answered 'retrieve'"):
        talk(_bad("closes-output", "retrieve", tmp_path), services, conversation, first_hit)
    assert has_ended(tmp_path / "worker.pid")


def test_a_child_that_a_crashed_worker_leaves_is_killed_and_keeps_nobody_waiting(
    services: Services, conversation: Conversation, tmp_path: Path
) -> None:
    with pytest.raises(RemoteError, match="ended with exit code 3"):
        talk(_bad("leaves-child", "retrieve", tmp_path), services, conversation, first_hit)
    assert has_ended(tmp_path / "child.pid")


def test_a_call_that_is_given_up_stops_the_worker_and_later_ones_say_so(
    services: Services, conversation: Conversation, tmp_path: Path
) -> None:
    async def give_up(memory: RemoteMemory) -> str:
        call = asyncio.create_task(memory.retrieve("Who?", asked_at=None, budget=100))
        await asyncio.to_thread(wait_until, (tmp_path / "worker.pid").exists)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(RemoteError) as raised:
            await memory.retrieve("Who?", asked_at=None, budget=100)
        return str(raised.value)

    address = _bad("hangs", "retrieve", tmp_path)
    assert talk(address, services, conversation, give_up) == (
        "the worker was stopped earlier: it had not answered 'retrieve' in time"
    )
    assert has_ended(tmp_path / "worker.pid")


def test_a_worker_that_crashes_in_one_conversation_is_started_again_for_the_next(data: Path, tmp_path: Path) -> None:
    bad = ["--backend", _bad("crashes", "retrieve", tmp_path), "--backend", "bm25"]
    assert _run(data, tmp_path / "run", *bad) == 3
    errors = [r["error"] for r in _measured(tmp_path / "run", "worker:bad_worker")]
    assert len(errors) == 8
    assert sum("ended with exit code 3 before" in error for error in errors) == 8
    assert sum("stopped earlier" in error for error in errors) == 6
    assert {r["status"] for r in _measured(tmp_path / "run", "bm25")} == {"ok"}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("worker:", "names no command"),
        (
            "worker:no-such-program x.py",
            "there is no program 'no-such-program'; correct it, as in worker:",
        ),
        ('worker:"python', "not a command"),
    ],
)
def test_an_impossible_command_is_refused_before_the_run(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        reach(address, 60)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            "crashes",
            "ended with exit code 3 before it answered 'info'; its stderr ends in loading / MemoryError: no room",
        ),
        ("lies", "the worker's reply to 'info' is not understood: 'protocol' is 'one', not a whole number"),
    ],
)
def test_a_worker_that_does_not_say_what_it_is_is_refused_before_the_run(
    tmp_path: Path, behaviour: str, message: str
) -> None:
    with pytest.raises(UserError) as raised:
        reach(_bad(behaviour, "info", tmp_path), 60)
    assert message in str(raised.value)


def test_a_worker_that_hangs_before_the_run_is_refused_after_the_time_limit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not answer 'info' within 1 s; correct it, or raise --memory-timeout"):
        reach(_bad("hangs", "info", tmp_path), 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_no_worker(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    command: Sequence[str] = [
        *(sys.executable, "-m", "engram_eval", "run", "--data", str(data), "--out", str(tmp_path / "run"), *_ROLES),
        *("--backend", _bad("hangs", "retrieve", tmp_path)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_until((tmp_path / "worker.pid").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert has_ended(tmp_path / "worker.pid"), err.decode()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
