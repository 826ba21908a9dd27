"""README and docs: every command and every example on a page is executed, in a folder that holds the files it names."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.write_command_line import PAGE, command_line_page
from engram_eval.cli.main import main
from engram_eval.datasets.synthetic import locomo_records, longmemeval_records
from tests.llm.server import Server
from tests.model import plays

_ROOT = Path(__file__).parents[2]
_PAGES = sorted(
    page for page in [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *(_ROOT / "docs").glob("*.md")] if page != PAGE
)
_LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, shared_environment: None) -> Path:  # noqa: ARG001
    """A folder with every file that the pages name: data, answers, verdicts, finished runs, a baseline."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("benchmarks", "docs"):
        shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "perf"))
    records = list(_short_dialogues(seed=1))
    (folder / "locomo10.json").write_text(json.dumps(records))
    histories = list(longmemeval_records(histories=3, sessions=4, tokens=2_000, seed=1))
    (folder / "longmemeval_s_cleaned.json").write_text(json.dumps(histories))
    shutil.copy(_ROOT / "docs" / "examples" / "my_dialogues.jsonl", folder / "my.jsonl")
    (folder / "riddles.json").write_text(
        '[{"text": "A man has two legs.", "ask": "Who has two legs?", "answer": "a man"}]'
    )
    with contextlib.chdir(folder):
        _write_answers(records, histories)
        common = ["run", "--data", "locomo10.json", "--reader", "offline", "--judge", "offline", "--backend", "bm25"]
        assert main([*common, "--backend", "engram", "--limit", "12", "--out", "results/a"]) == 0
        for name in ("b", "main", "mine"):
            shutil.copytree("results/a", f"results/{name}")
        assert main(["baseline", "results/main", "-o", "results/baselines/main.json"]) == 0
    return folder


def _short_dialogues(*, seed: int, **_sizes: int) -> Iterator[dict[str, Any]]:
    """Two dialogues of a few sessions, whatever the sizes that a page asks for."""
    return locomo_records(conversations=2, sessions=4, turns=40, seed=seed)


def _write_answers(records: list[dict[str, object]], histories: list[dict[str, object]]) -> None:
    answers, verdicts = [], []
    for record in records:
        qa = record["qa"]
        assert isinstance(qa, list)
        for index, question in enumerate(qa):
            question_id = f"{record['sample_id']}:q{index}"
            if "answer" not in question:
                answers.append({"question_id": question_id, "answer": "not mentioned"})
            else:
                answers.append({"question_id": question_id, "answer": str(question["answer"])})
                for system, answer, correct in (("honest", question["answer"], True), ("wrong-1", "a zebra", False)):
                    texts = {"question": question["question"], "gold": str(question["answer"]), "answer": str(answer)}
                    verdicts.append({"question_id": question_id, **texts, "correct": correct, "system": system})
    hypotheses = [{"question_id": h["question_id"], "hypothesis": str(h["answer"])} for h in histories]
    errors = [{"question_id": answers[0]["question_id"], "reason": "wrong year"}]
    for name, lines in (("answers", answers), ("verdicts", verdicts), ("hypotheses", hypotheses)):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("label_errors.json").write_text(json.dumps(errors))


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(prepared, tmp_path / "page")
    monkeypatch.chdir(tmp_path / "page")
    monkeypatch.setattr("engram_eval.datasets.synthetic.dataset.locomo_records", _short_dialogues)
    monkeypatch.syspath_prepend(tmp_path / "page" / "docs" / "examples")
    monkeypatch.syspath_prepend(
        tmp_path / "page"
    )  # first: a page's own module comes before an example of the same name
    yield tmp_path / "page"
    for name in (
        "my_memory",
        "my_judge",
        "my_reader",
        "riddles",
    ):  # the pages' own modules, which differ from page to page
        sys.modules.pop(name, None)


def _blocks(page: Path) -> list[tuple[str, str]]:
    """The page's console, Python and TOML blocks, in order."""
    return re.findall(r"```(console|python|toml)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_everything_on_the_page_runs_as_written(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=plays()) as server:
        for language, block in _blocks(page):
            if language == "console":
                for line in block.splitlines():
                    if line.startswith("$ "):
                        _run(line.removeprefix("$ "), server.url, monkeypatch)
            elif name := re.match(r"# (\w+\.(?:py|toml))\n", block):  # the block is a file of this name
                (folder / name[1]).write_text(block)
                sys.modules.pop(name[1].removesuffix(".py"), None)
            elif language == "python":
                exec(compile(block, "an example", "exec"), {"__name__": "__example__"})
    capsys.readouterr()


def _run(line: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = re.sub(r"http://localhost:\d+/v1", url, line.removeprefix("PYTHONPATH=. "))
    if command.startswith("make "):
        subprocess.run([*shlex.split(command), "--dry-run"], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
        return
    command, _, redirected = command.partition(" > ")
    program, *arguments = shlex.split(command)
    assert program == "engram-eval", line
    with monkeypatch.context() as patch:
        if "--model" in arguments or "llm" in arguments:
            patch.setenv("OPENAI_API_KEY", "a-key-of-the-test")
            patch.setenv("OPENAI_BASE_URL", url)
            patch.setenv("JUDGE_API_KEY", "another-key-of-the-test")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = main(arguments)
    assert code == 0, f"{line}: exit code {code}"
    if redirected:
        Path(redirected).write_text(output.getvalue())


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_the_command_line_page_is_what_help_prints() -> None:
    assert PAGE.read_text("utf-8") == command_line_page(), "run `make docs`"


@pytest.mark.parametrize("script", sorted((_ROOT / "docs" / "examples").glob("*.py")), ids=lambda script: script.stem)
def test_the_example_runs(script: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)


def test_the_readme_is_short() -> None:
    assert len((_ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
