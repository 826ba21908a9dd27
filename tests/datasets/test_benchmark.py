"""A benchmark is one declared value: a third one works through an entry point alone, and no code asks for a name."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engram_eval import registry
from engram_eval.cli.main import main
from engram_eval.datasets import catalogue
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.datasets.longmemeval import LONGMEMEVAL_S
from engram_eval.errors import UserError
from engram_eval.language.prompt import Prompt
from tests.llm.server import Server
from tests.model import plays

_ROOT = Path(__file__).parents[2]
_MODULE = '''
"""A benchmark of riddles, as somebody else's package declares it."""

import hashlib
import json
from pathlib import Path

from engram_eval.datasets.benchmark import Benchmark, JudgeRules
from engram_eval.datasets.dataset import Dataset
from engram_eval.language.prompt import Prompt
from engram_eval.types import Conversation, ConversationInfo, Question, Sample, Session, Turn


def open_riddles(data, options):
    riddles = json.loads(data.read_text())["riddles"]

    def read(notes):
        for i, riddle in enumerate(riddles):
            turns = tuple(Turn(f"t{n}", "Sphinx", text) for n, text in enumerate(riddle["lines"]))
            conversation = Conversation(ConversationInfo(f"r{i}", ("Sphinx",)), (Session("s", None, turns),))
            kind = "hard" if riddle["hard"] else "easy"
            question = Question(f"r{i}:q", f"r{i}", riddle["ask"], riddle["gold"], kind, None, ("t0",), ("s",), False)
            yield Sample(conversation, (question,))

    return Dataset(
        benchmark=RIDDLES,
        origin=f"{data} (riddles)",
        sha256=hashlib.sha256(data.read_bytes()).hexdigest(),
        read=read,
        differences=lambda counts, conversations: [] if counts.get("hard") else ["hard: 0 riddles, 1 published"],
    )


RIDDLES = Benchmark(
    name="riddles",
    summary="two riddles",
    open=open_riddles,
    recognises=lambda head, path: b'"riddles"' in head,
    categories=("easy", "hard"),
    headline=("easy",),
    budget=77,
    budget_reason="riddles are short",
    reader_prompt=Prompt("reader_riddles_v1", "You answer questions in riddles."),
    judge_rules=JudgeRules(
        default=Prompt("judge_riddles_v1", "You grade riddles."),
        by_category={"hard": Prompt("judge_riddles_hard_v1", "You grade hard riddles.")},
        variants={"wise": Prompt("judge_riddles_wise_v1", "You grade riddles wisely.")},
    ),
    f1=lambda question, answer: 0.25,
    answer_tokens_beyond_gold=2,
    tables=frozenset({"sessions"}),
    published=Path(__file__).with_name("published.toml"),
)
'''
_PUBLISHED = """
[[measured]]
judge = "llm"

[[measured.system]]
name = "Oedipus"
backends = ["bm25"]
source = "Sophocles"
table = "Oedipus the King"
score = 99.00
"""
_RIDDLES = [
    {"lines": ["A man walks on four legs, then two, then three."], "ask": "Who walks?", "gold": "man", "hard": False},
    {"lines": ["Two sisters give birth to each other: day and night."], "ask": "Who are they?", "gold": "day and night",
     "hard": True},
]  # fmt: skip


@pytest.fixture
def riddles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with the benchmark, declared by an entry point, and a data file for it."""
    site = tmp_path / "site"
    info = site / "riddles-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: riddles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[engram_eval.datasets]\nriddles = riddles_benchmark:RIDDLES\n")
    (site / "riddles_benchmark.py").write_text(_MODULE)
    (site / "published.toml").write_text(_PUBLISHED)
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    data = tmp_path / "riddles.json"
    data.write_text(json.dumps({"riddles": _RIDDLES}))
    yield data
    sys.modules.pop("riddles_benchmark", None)


def _manifest(run: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return manifest


def test_a_third_benchmark_is_listed_checked_and_recognised(
    riddles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["datasets", "list"]) == 0
    assert re.search(r"^riddles +two riddles$", capsys.readouterr().out, re.MULTILINE)
    assert main(["datasets", "check", str(riddles)]) == 0
    checked = capsys.readouterr().out
    assert checked.startswith(f"riddles: {riddles} (riddles)")
    assert re.search(r"easy +1\n +hard +1\n", checked)
    easy = tmp_path / "easy.json"
    easy.write_text(json.dumps({"riddles": _RIDDLES[:1]}))
    assert main(["datasets", "check", "--dataset", "riddles", str(easy)]) == 1
    assert "hard: 0 riddles, 1 published" in capsys.readouterr().out


def test_a_third_benchmark_is_run_judged_and_compared(
    riddles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, graded, answers = tmp_path / "run", tmp_path / "graded", tmp_path / "answers.jsonl"
    with Server(answer=plays()) as server:
        model = ["--judge", "llm:wise", "--model", "m", "--base-url", server.url]
        assert (
            main(["run", "--data", str(riddles), "--backend", "bm25", "--reader", "llm", *model, "--out", str(run)])
            == 0
        )
        systems = {asked.body["messages"][0]["content"].partition("\n")[0] for asked in server.asked}
    assert systems == {"You answer questions in riddles.", "You grade riddles wisely.", "You grade hard riddles."}
    assert "77 o200k_base tokens (an estimate for m), riddles are short" in capsys.readouterr().err
    manifest = _manifest(run)
    assert {"reader_riddles_v1", "judge_riddles_wise_v1", "judge_riddles_hard_v1", "judge_data_v1"} <= {
        *manifest["prompts"]
    }
    dataset = manifest["dataset"]
    assert (dataset["name"], dataset["headline"], dataset["tables"]) == ("riddles", ["easy"], ["sessions"])
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert {record["f1"] for record in records} == {0.25}

    answers.write_text(
        '{"question_id": "r0:q", "answer": "a man"}\n{"question_id": "r1:q", "answer": "day and night"}\n'
    )
    assert main(["judge", str(answers), "--dataset", "riddles", "--data", str(riddles), "--out", str(graded)]) == 0
    assert main(["judge", str(answers), "--data", str(riddles), "--judge", "llm:odd", "--model", "m"]) == 2
    assert "riddles has no judge 'odd'; name llm or llm:wise" in capsys.readouterr().err

    assert main(["compare", str(run), "--published"]) == 0
    compared = capsys.readouterr().out
    assert "Oedipus" in compared and "published (Sophocles, Oedipus the King)" in compared
    assert "Sessions (distinct sessions" in compared


def test_a_benchmark_can_be_named_by_its_place_in_a_module(riddles: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["run", "--dataset", "riddles_benchmark:RIDDLES", "--data", str(riddles), "--backend", "bm25"]
    assert main([*arguments, "--out", str(run)]) == 0
    assert _manifest(run)["dataset"]["name"] == "riddles"


def test_what_a_benchmark_raises_when_it_opens_is_one_sentence(
    riddles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    riddles.write_text('{"riddles": 5}')
    assert main(["datasets", "check", str(riddles)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("engram-eval: ") and error.count("\n") == 1
    riddles.write_text('{"riddles"')
    assert main(["datasets", "check", str(riddles)]) == 2
    assert "dataset 'riddles' cannot be opened (JSONDecodeError: " in capsys.readouterr().err


def test_an_installed_package_that_cannot_be_imported_hides_no_other(
    riddles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = riddles.parent / "site" / "aaa-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aaa\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[engram_eval.datasets]\naaa = no_such_module:BENCHMARK\n")
    importlib.invalidate_caches()
    assert main(["datasets", "list"]) == 0
    assert "aaa                    not usable: dataset 'aaa'" in capsys.readouterr().out
    assert catalogue.recognise(riddles).name == "riddles"


# --- what a file is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.json", '[{"sample_id": "conv-1", "conversation": {}}]', "locomo"),
        ("26_post_qa.json", '{"session_1": [{"dia_id": "D1:1"}]}', "locomo"),
        ("locomo10.zip", "PK", "locomo"),
        ("mine.json", '[{"question_id": "x", "question_type": "multi-session"}]', "longmemeval_s"),
        ("longmemeval_s_cleaned.json", '[{"haystack_dates": []}]', "longmemeval_s"),
        ("longmemeval_oracle.json", '[{"question_id": "x", "question_type": "multi-session"}]', "longmemeval_oracle"),
        ("longmemeval_m_cleaned.json", '[{"question_id": "x", "question_type": "multi-session"}]', "longmemeval_m"),
        ("longmemeval_mine.json", '[{"question_id": "x", "question_type": "multi-session"}]', "longmemeval_s"),
        ("my.jsonl", '{"id": "c", "sessions": [{"turns": [{"speaker": "qa", "text": "\\"haystack_x\\": 1"}]}]}', "dialogues"),
        ("my.txt", '\ufeff\n{"id": "c", "questions": [], "sessions"  : []}', "dialogues"),
    ],
)  # fmt: skip
def test_a_file_is_recognised_by_its_keys_and_name(tmp_path: Path, name: str, content: str, expected: str) -> None:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    assert catalogue.recognise(path).name == expected


def test_a_folder_is_the_first_release_of_locomo(tmp_path: Path) -> None:
    assert catalogue.recognise(tmp_path) is LOCOMO


@pytest.mark.parametrize("content", [b"[]", b"hello", b"\xff\x00", b'{"a": 1}'])
def test_a_file_that_is_not_recognised_is_refused_with_the_fix(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"x\.json: its format is not recognised; name the format with --dataset \(locomo, "
    ):
        catalogue.recognise(path)
    with pytest.raises(UserError, match="there is no such file"):
        catalogue.recognise(tmp_path / "absent.json")


# --- the declarations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_benchmark_is_declared_under_its_name_with_licence_and_source(name: str) -> None:
    declared = catalogue.benchmark(name)
    assert declared.name == name
    assert declared.summary and declared.licence != "unknown" and declared.budget_reason
    assert declared.published is None or declared.published.is_file()


def test_an_unknown_benchmark_is_one_sentence() -> None:
    with pytest.raises(UserError, match="dataset 'json:dumps' is 'function' and not a Benchmark; declare one as in"):
        catalogue.benchmark("json:dumps")
    with pytest.raises(UserError, match="there is no dataset 'trivia'; name one of locomo, "):
        catalogue.benchmark("trivia")


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="headline names no category: trivia"):
        replace(LOCOMO, headline=("trivia",))
    with pytest.raises(ValueError, match="prompt 'mine' must be named reader_…"):
        replace(LOCOMO, reader_prompt=Prompt("mine", "Answer."))


def test_the_prompts_are_those_of_the_first_version() -> None:
    """A prompt is never edited: a changed one is a new file with a new name."""
    rules = [LOCOMO.judge_rules, LONGMEMEVAL_S.judge_rules]
    prompts = [LOCOMO.reader_prompt, LONGMEMEVAL_S.reader_prompt, *(r.default for r in rules)]
    prompts += [p for r in rules for p in (*r.variants.values(), *r.by_category.values())]
    assert {p.name: p.sha256[:12] for p in prompts} == _SHA256


_SHA256 = {
    "reader_locomo_v1": "d15743584458",
    "judge_locomo_standard_v1": "4d37dbf6b1fa",
    "judge_locomo_strict_v1": "18e5592ede7a",
    "reader_longmemeval_v1": "84da865e190c",
    "judge_longmemeval_v1": "d1c8e54e4a81",
    "judge_longmemeval_temporal_v1": "7cb57d7da643",
    "judge_longmemeval_update_v1": "b06464c8c24b",
    "judge_longmemeval_preference_v1": "cdcdcdb5559e",
}


def test_no_code_outside_the_benchmarks_asks_for_a_benchmarks_name() -> None:
    tests_of_names = re.compile(
        r"""(["'](?:longmemeval|locomo)\w*["'] (?:in|==|!=)|(?:in|==|!=) ["'](?:longmemeval|locomo))"""
    )
    for file in sorted((_ROOT / "engram_eval").rglob("*.py")):
        assert not tests_of_names.search(file.read_text("utf-8")), file
