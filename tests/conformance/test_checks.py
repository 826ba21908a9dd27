"""Each check holds for memories that do as they should, and fails for a memory that breaks what it is about."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.try_backend import outcome_line
from engram_eval.conformance.attempt import attempt
from engram_eval.conformance.check import Outcome
from engram_eval.conformance.checks import ALL_CHECKS, ending
from engram_eval.conformance.network import NetworkGuard
from engram_eval.registry import open_backend
from engram_eval.run.models import ModelClients
from engram_eval.run.settings import Settings
from tests.conformance import memories as m
from tests.llm.server import Server
from tests.model import plays

_CHECKS = {check.name: check for check in ALL_CHECKS}
_BUILT_IN = [
    "bm25", "dense", "engram", "conditional", "split-budget", "full-history", "none", "oracle", "degraded",
]  # fmt: skip

# The check, the memory or backend that fails it, and the words that say what was seen and what to change.
_BROKEN: list[tuple[str, type, str, str]] = [
    ("opens", m.CannotAnswerDatedQuestions, "a date (asked_at) raised TypeError: no dates, please (memories.py, line", ""),
    ("opens", m.ReturnsText, "retrieve returned int and not a Context", "return engram_eval.Context(text, items)"),
    ("opens", m.OpensNothing, "open returned NoneType, which has no method 'retrieve'", "return the memory"),
    ("opens", m.Waits, "retrieve did not return within 0.3 s", "--timeout"),
    ("opens", m.Cancels, "ingest raised CancelledError", ""),
    ("opens", m.Exits, "ingest raised SystemExit: 3", ""),
    ("settings", m.SettingWithoutDefault, "'k' of SettingWithoutDefault has no default", "give it one"),
    ("settings", m.SettingOfAnyType, "'where' of SettingOfAnyType has the annotation", "annotate it as int"),
    ("settings", m.UnannotatedSetting, "'k' of UnannotatedSetting has no annotation", "annotate it as int"),
    ("settings", m.MisspeltPreset, "preset 'wide' sets 'kk', which is no setting", "correct its name"),
    ("settings", m.ImpossiblePreset, "preset 'wide' cannot be made: ValueError: k must not be negative", ""),
    ("signatures", m.OtherParameters, "retrieve cannot be called as a run calls it", "retrieve(query, *, asked_at, budget)"),
    ("signatures", m.NoClose, "NoClose has no method 'close'", "write it as close()"),
    ("before-ingest", m.FailsWhenEmpty, "retrieve before any ingest raised IndexError: no index", ""),
    ("before-ingest", m.NeverEmpty, "not empty before anything was ingested: 'No memories found.'", "return Context('')"),
    ("needle", m.Newest, "the context does not have the turn 'I named my new parrot Zephyrine", "rank the turns"),
    ("needle", m.Undated, "not when it was said, 18 February 2021", "session.started_at"),
    ("every-session", m.SkipsGreetings, ", the first of its session, is not in the context", "every turn"),
    ("every-session", m.Newest, "turn D1:1, the first of its session, is not in the context", "every turn"),
    ("ready", m.IndexesLater, "found only some time after ready()", "wait in ready()"),
    ("ready", m.LosesTheLastSession, "a turn of the last session", "make the last session searchable"),
    ("sources", m.OwnIds, "names turn 'doc-0', which the conversation does not have", "by the `id`"),
    ("sources", m.ListsOwnIds, "turn_ids() has 'chunk-1', which the conversation does not have", "return the `id`"),
    ("sources", m.NamesEachTwice, "2 items of one context name turn", "name each turn once"),
    ("sources", m.NamesWhatIsNotThere, "but the text does not have its words", "set paraphrases = True"),
    ("paraphrased-sources", m.NamesAll, "words names 7", "at most one for 5 words"),
    ("paraphrased-sources", m.NamesOthers, "share words with one of its lines", "the turns that it was made from"),
    ("equal-texts", m.KeepsByText, "say the same on different days", "keep turns by their id"),
    ("same-session-twice", m.AppendsAlways, "is in the context twice", "skip a session whose id is known"),
    ("deterministic", m.CountsMemories, "two memories of the same conversation return different contexts", "seed"),
    ("deterministic", m.LearnsFromQuestions, "another context when it is asked", "must not change the memory"),
    ("budget", m.IgnoresTheBudget, "at budget=916 the context has", "services.tokens.count(text)"),
    ("budget", m.AlwaysOneTurn, "at budget=0 the context has", "services.tokens.cut(text, budget)"),
    ("budget", m.OneTokenTooMany, "at budget=100 the context has 101 tokens", "leave out"),
    ("budget", m.NeedsABudget, "retrieve without a budget (budget=None) raised AssertionError", ""),
    ("isolated", m.ClassWide, "returns a turn of another", "keep nothing in a class"),
    ("isolated-at-once", m.Racing, "the memory of one conversation returns a turn of another", "keep nothing in a class"),
    ("reopened", m.ByConversation, "knows what an earlier one of the same conversation was told", "begin empty"),
    ("wordless-turns", m.DividesByWords, "ingest raised ZeroDivisionError", ""),
    ("emoji", m.AsciiOnly, "without its emoji", "keep texts as they are"),
    ("long-turn", m.Short, "ingest raised ValueError: maximum context length is 8191", ""),
    ("long-turn", m.LongTurnFirst, "in a conversation with a turn of 20,000 characters", "one odd turn"),
    ("no-date", m.NeedsDates, "retrieve raised TypeError: unsupported format string", ""),
    ("queries", m.MatchesPatterns, "retrieve for a query with ", ""),
    ("queries", m.Injected, "the memory has lost a turn", "pass a query as data"),
    ("odd-path", m.PlainPaths, "whose path has spaces and other scripts, open raised UnicodeEncodeError", ""),
    ("odd-path", m.SilentInOddPaths, "nothing is found if services.folder has spaces", "pass paths as they are"),
    ("embedder-faults", m.SilentlyLexical, "services.embedder raised an error, and the memory went on", "`warnings`"),
    ("embedder-faults", m.TrustsShapes, "returned one vector too few", "check that there is one vector"),
    ("embedder-faults", m.EmbedsLate, "returned one vector too few", "check that there is one vector"),
    ("folder", m.WritesElsewhere, "global.db, outside its folder", "keep files in services.folder"),
    ("offline", m.CallsHome, "tried to reach telemetry.example.com:443", "--online"),
    ("offline", m.ConnectsByAddress, "tried to reach 192.0.2.1:80", "--online"),
    ("close", m.LeavesAProcess, "still runs 0.2 s after close()", "end in close() what open() has started"),
    ("close", m.LeavesAThread, "thread 'indexer' still runs", "stop and join it"),
    ("close", m.LeavesATask, "the task 'sleep' still runs", "cancel it in close()"),
    ("close", m.CannotCloseTwice, "close raised RuntimeError: nothing to flush", ""),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ending, "GRACE_S", 0.2)
    monkeypatch.setattr("engram_eval.conformance.checks.finding.WAIT_S", 0.5)
    m.LeavesAThread.stopped.clear()
    yield
    m.LeavesAThread.stopped.set()
    for process in m.LeavesAProcess.started:
        process.wait()  # the check has ended it
    m.LeavesAProcess.started.clear()


def _backend(broken: type, check: str) -> Any:
    if not hasattr(broken, "retrieve"):
        settings: Any = {"k": 5} if broken is m.SettingWithoutDefault else {}
        return broken(**settings)
    return m.backend_of(broken, m.Paraphrasing if check == "paraphrased-sources" else m.Good)()


def _outcome(name: str, backend: Any, **options: Any) -> Outcome:
    return attempt(_CHECKS[name], backend, **{"limit_s": 0.3 if name == "opens" else 30, **options})


@pytest.mark.parametrize(("name", "broken", "seen", "change"), _BROKEN, ids=lambda v: getattr(v, "__name__", None))
def test_a_broken_memory_fails_the_check_with_the_right_sentence(
    name: str, broken: type, seen: str, change: str
) -> None:
    outcome = _outcome(name, _backend(broken, name))
    assert outcome.result == "FAILS", outcome.text
    assert seen in outcome.text
    assert change in outcome.text


def test_every_check_can_fail() -> None:
    assert {name for name, *_ in _BROKEN} == set(_CHECKS)


def test_names_are_unique_and_sentences_are_sentences() -> None:
    assert len(_CHECKS) == len(ALL_CHECKS)
    assert all(check.sentence[0].isupper() and check.sentence.endswith(".") for check in ALL_CHECKS)


@pytest.mark.parametrize("backend", [m.Good(), m.GoodSyncBackend(), m.Paraphrasing(), m.backend_of(m.Embedding)()])
def test_all_checks_hold_for_a_good_memory(backend: Any) -> None:
    outcomes = [attempt(check, backend, limit_s=30) for check in ALL_CHECKS]
    assert [outcome for outcome in outcomes if outcome.result == "FAILS"] == []
    assert sum(outcome.result == "holds" for outcome in outcomes) >= len(ALL_CHECKS) - 3


@pytest.mark.parametrize("label", _BUILT_IN)
def test_no_check_fails_for_a_built_in_memory(label: str) -> None:
    outcomes = [attempt(check, open_backend(label, {}), limit_s=60) for check in ALL_CHECKS]
    assert [outcome for outcome in outcomes if outcome.result == "FAILS"] == []


def test_no_check_fails_for_the_example_of_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs" / "examples")
    backend = open_backend("my_memory:EmbeddingBackend", {})
    del sys.modules["my_memory"]  # pages have modules of this name too
    outcomes = [attempt(check, backend, limit_s=30) for check in ALL_CHECKS]
    assert [outcome for outcome in outcomes if outcome.result == "FAILS"] == []


def test_a_memory_that_asks_a_model_is_tried_with_one() -> None:
    with Server(answer=plays()) as server:
        settings = Settings(model="a-model", base_url=server.url)
        for name in ("needle", "paraphrased-sources", "deterministic", "offline"):
            outcome = _outcome(name, open_backend("engram:llm", {}), clients=ModelClients(settings))
            assert outcome.result == "holds", outcome.text


def test_of_a_name_that_is_allowed_the_addresses_are_allowed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(socket.AF_INET, 1, 6, "", ("192.0.2.7", 443))])
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    guard = NetworkGuard({"model.example.com"})
    with guard.closed(), socket.socket() as sock:
        socket.getaddrinfo("model.example.com", 443)
        sock.connect(("192.0.2.7", 443))
        with pytest.raises(OSError, match=r"refused the connection to 192\.0\.2\.8:443, which --online would allow"):
            sock.connect(("192.0.2.8", 443))
    assert (connected, guard.tried) == ([("192.0.2.7", 443)], ["192.0.2.8:443"])


def test_a_check_that_says_nothing_about_a_memory_gives_the_reason() -> None:
    assert _outcome("paraphrased-sources", m.Good()).text == (
        "the backend does not set paraphrases = True: its turns are looked for word by word"
    )
    assert _outcome("offline", m.backend_of(m.CallsHome)(), online=True).result == "not applicable"


def test_the_output_in_the_docs_is_what_the_memory_in_the_docs_gets() -> None:
    page = (Path(__file__).parents[2] / "docs" / "backends.md").read_text("utf-8")
    source = re.search(r"```python\n(# my_memory\.py\n.*?)```", page, re.DOTALL)
    output = re.search(r"try-backend my_memory:MyBackend\n(.*?)\n\n", page, re.DOTALL)
    assert source and output
    module: dict[str, Any] = {}
    exec(compile(source[1], "my_memory.py", "exec"), module)
    printed = [outcome_line(attempt(check, module["MyBackend"](), limit_s=30)) for check in ALL_CHECKS]
    shown = [line for line in output[1].splitlines() if line != "…"]
    assert len(shown) > 3
    assert set(shown) <= set(printed)
