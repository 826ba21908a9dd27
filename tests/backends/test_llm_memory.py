"""ENGRAM's router and extractor by a model, in complete runs against a local server."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.datasets.synthetic import locomo_records, write_json_array
from engram_eval.run.settings import from_mapping
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import Server, Step, refuses, sends
from tests.model import extracts, material, plays, role_of, routes

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([_RECORD]))
    return path


def _run(data: Path, out: Path, server: Server, *arguments: str, backend: str = "engram:batched") -> int:
    llm = ["--model", "gpt-4o-mini", "--base-url", server.url, "--no-controls"]
    return main(["run", "--data", str(data), "--backend", backend, "--out", str(out), *llm, *arguments])


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "records.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda r: str(r["question_id"]))


def _roles(server: Server) -> Counter[str]:
    return Counter(role_of(asked.body) for asked in server.asked)


def test_router_and_extractor_are_called_once_per_session_and_their_cost_is_recorded(
    data: Path, tmp_path: Path
) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server, "--keep-memories") == 0
        sessions = len([asked for asked in server.asked if role_of(asked.body) == "router"])
        assert _roles(server)["extractor"] == sessions > 1
    records = _records(tmp_path / "run")
    assert all(r["ingest_cost_usd"] > 0 and r["ingest_warnings"] == 0 for r in records)
    assert {r["ingest_cost_usd"] for r in records} == {records[0]["ingest_cost_usd"]}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert set(manifest["usage"]) == {"router", "extractor", "reader", "judge"}
    assert manifest["backends"]["engram:batched"]["paraphrases"]
    assert {"engram_router_v1", "engram_extractor_v1"} <= set(manifest["prompts"])
    ingested = sum(manifest["usage"][role]["cost_usd"] for role in ("router", "extractor"))
    assert records[0]["ingest_cost_usd"] == pytest.approx(ingested)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())["backends"]["engram:batched"]
    assert summary["evidence_recall"] > 0  # measured by the turns that its records name


def test_contexts_hold_the_extractors_records_by_type_and_with_dates(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server) == 0
        contexts = [a.body["messages"][1]["content"] for a in server.asked if role_of(a.body) == "reader"]
    assert any("# Facts\n[" in context and " told: " in context for context in contexts)


def test_a_repeated_run_makes_no_calls(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "one", server) == 0
        sent = len(server.asked)
        assert _run(data, tmp_path / "two", server, "--replay") == 0
        assert len(server.asked) == sent
    one, two = (_records(tmp_path / name) for name in ("one", "two"))
    for name in ("answer", "correct", "retrieved", "ingest_cost_usd", "cost_usd", "answer_s", "judge_s"):
        assert [r[name] for r in one] == [r[name] for r in two], name


def test_all_sessions_are_extracted_at_the_same_time(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server) == 0
    first_extractor = next(i for i, asked in enumerate(server.asked) if role_of(asked.body) == "extractor")
    assert _roles(server)["router"] > 1
    assert first_extractor > 0


def test_the_model_is_asked_once_to_correct_an_unusable_answer(data: Path, tmp_path: Path) -> None:
    rejected: list[dict[str, Any]] = []

    def extractor(body: dict[str, Any]) -> str:
        if len(body["messages"]) == 2 and not rejected:
            rejected.append(body)
            return '{"episodic": [{"turns": [99], "title": "", "summary": "x", "when": ""}], "semantic": [], "procedural": []}'
        return extracts(body)

    with Server(answer=plays(extractor=extractor)) as server:
        assert _run(data, tmp_path / "run", server) == 0
        corrections = [asked.body for asked in server.asked if len(asked.body["messages"]) > 2]
    assert len(corrections) == 1
    assert "there is no turn 99" in corrections[0]["messages"][3]["content"]
    assert {r["ingest_warnings"] for r in _records(tmp_path / "run")} == {0}


@pytest.mark.parametrize(
    "reply", ["I cannot do that.", '{"episodic": []}', "", '{"episodic": [0], "semantic": [], "procedural": []}']
)
def test_turns_without_a_usable_answer_are_kept_verbatim_with_a_warning(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reply: str
) -> None:
    with Server(answer=plays(router=lambda _: reply, extractor=lambda _: reply)) as server:
        assert _run(data, tmp_path / "run", server) == 0
        contexts = [a.body["messages"][1]["content"] for a in server.asked if role_of(a.body) == "reader"]
        sessions = {a.body["messages"][1]["content"] for a in server.asked if role_of(a.body) == "router"}
    records = _records(tmp_path / "run")
    assert {r["ingest_warnings"] for r in records} == {2 * len(sessions)}
    warnings = [json.loads(line) for line in (tmp_path / "run" / "warnings.jsonl").read_text().splitlines()]
    assert len(warnings) == 2 * len(sessions)
    assert "they are kept verbatim" in warnings[0]["warning"]
    assert "warnings.jsonl" in capsys.readouterr().err
    turns = [turn["text"] for session in sessions for turn in json.loads(session)["turns"]]
    everything = "\n".join(contexts)
    assert sum(text in everything for text in turns) > len(turns) / 2


def test_a_turns_number_may_be_a_json_float(data: Path, tmp_path: Path) -> None:
    def router(body: dict[str, Any]) -> str:
        return json.dumps({kind: [float(n) for n in turns] for kind, turns in json.loads(routes(body)).items()})

    with Server(answer=plays(router=router)) as server:
        assert _run(data, tmp_path / "run", server) == 0
    assert {r["ingest_warnings"] for r in _records(tmp_path / "run")} == {0}


def test_turns_that_a_server_refuses_for_their_content_are_kept_verbatim(data: Path, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Step:
        if role_of(body) == "extractor":
            return refuses(400, "The response was filtered", code="content_filter")
        return plays()(body)

    with Server(answer=answer) as server:
        assert _run(data, tmp_path / "run", server) == 0
        sessions = _roles(server)["router"]
        assert _roles(server)["extractor"] == sessions  # not repeated: it would be refused again
    assert {r["ingest_warnings"] for r in _records(tmp_path / "run")} == {sessions}


def test_a_call_that_fails_is_an_error_and_not_a_warning(data: Path, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Step:
        return refuses(400, "bad request") if role_of(body) == "extractor" else plays()(body)

    with Server(answer=answer) as server:
        assert _run(data, tmp_path / "run", server) == 3
        server.answer = plays()
        assert main(["run", "--resume", str(tmp_path / "run")]) == 0
    last = {r["question_id"]: r for r in _records(tmp_path / "run")}
    assert {r["status"] for r in last.values()} == {"ok"}


@pytest.mark.parametrize(
    ("settings", "roles"),
    [
        (["engram.router=llm"], {"router"}),
        (["engram.extractor=llm"], {"extractor"}),
        (["engram.extractor=llm", "engram.router=llm", "engram.typed=false"], {"router", "extractor"}),
        (["engram.typed=false"], set()),
    ],
)
def test_either_part_can_be_left_to_the_rules(data: Path, tmp_path: Path, settings: list[str], roles: set[str]) -> None:
    flags = [flag for setting in settings for flag in ("--set", setting)]
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server, *flags, backend="engram") == 0
        contexts = [a.body["messages"][1]["content"] for a in server.asked if role_of(a.body) == "reader"]
        assert _roles(server).keys() - {"reader", "judge"} == roles
    assert any("# Facts" in context for context in contexts) is (
        "engram.extractor=llm" in settings and "engram.typed=false" not in settings
    )


def test_a_turn_routed_nowhere_is_dropped_and_one_that_the_extractor_skipped_is_kept(
    data: Path, tmp_path: Path
) -> None:
    def router(body: dict[str, Any]) -> str:
        first, *_ = material(body)["turns"]
        return json.dumps({"episodic": [], "semantic": [first["turn"]], "procedural": []})

    nothing = '{"episodic": [], "semantic": [], "procedural": []}'
    with Server(answer=plays(router=router, extractor=lambda _: nothing)) as server:
        assert _run(data, tmp_path / "run", server) == 0
        routed = [material(a.body)["turns"] for a in server.asked if role_of(a.body) == "router"]
    retrieved = {turn for r in _records(tmp_path / "run") for turn in r["retrieved"]}
    assert len(retrieved) == len(routed)  # the first of each session
    assert {r["ingest_warnings"] for r in _records(tmp_path / "run")} == {0}


def test_the_estimated_cost_is_close_to_the_actual_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On dialogues of realistic length, each backend by itself."""
    data = tmp_path / "dialogues.json"
    write_json_array(locomo_records(conversations=1, sessions=15, turns=300), data)
    for backend in ("full-history", "bm25", "engram:batched", "engram:paper"):
        with Server(answer=plays()) as server:
            flags = ["--limit", "15", "--categories", "1,2,3,4"]
            assert _run(data, tmp_path / "none", server, *flags, "--dry-run", backend=backend) == 0
            plan = capsys.readouterr().out
            assert not server.asked
            assert _run(data, tmp_path / backend.replace(":", "-"), server, *flags, backend=backend) == 0
        usage = json.loads((tmp_path / backend.replace(":", "-") / "manifest.json").read_text())["usage"]
        used = sum(row["cost_usd"] for row in usage.values())
        estimated = float(plan.rpartition("About $")[2].split(";")[0])
        assert estimated == pytest.approx(used, rel=0.2), (backend, usage)


def test_with_a_key_or_an_endpoint_in_the_environment_a_model_is_used(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=plays(), says_of_itself={"/v1/models": sends({"data": [{"id": "the-one"}]})}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        command = ["run", "--data", str(data), "--backend", "bm25", "--no-controls"]
        assert main([*command, "--out", str(tmp_path / "run")]) == 0
        err = capsys.readouterr().err
        assert f"llm: the-one at {server.url}, because OPENAI_API_KEY and OPENAI_BASE_URL are set" in err
        assert main([*command, "--out", str(tmp_path / "off"), "--reader", "offline", "--judge", "offline"]) == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["reader"]["model"] == "the-one"
    assert from_mapping(manifest["settings"], "manifest").base_url == server.url


def test_the_played_router_routes_dated_turns_as_episodic() -> None:
    body = {
        "messages": [
            {},
            {"content": json.dumps({"turns": [{"turn": 1, "text": "In 2020"}, {"turn": 2, "text": "Hi"}]})},
        ]
    }
    assert json.loads(routes(body)) == {"episodic": [1], "semantic": [2], "procedural": []}
