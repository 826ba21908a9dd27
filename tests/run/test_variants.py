"""Variants of backends in experiment files, from the file to the pairs of a comparison."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.compare.comparison import compare
from engram_eval.errors import UserError
from engram_eval.registry import open_backend, settings_of
from engram_eval.results.folder import RunFolder
from engram_eval.run.plan import plan_run
from engram_eval.run.resume import new_settings
from tests.datasets.test_locomo import _RECORD
from tests.records import backend, manifest_json, record, run
from tests.report.pages import folder

_DOUBLES = ["--reader", "tests.doubles:EchoReader", "--judge", "tests.doubles:ContainsJudge", "--no-controls"]
_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_FILE = """
backends = ["engram", "no speaker", "dense, ours", "conditional"]
reference = "conditional"
[variants."no speaker"]
backend = "engram"
speaker = 0
[variants."dense, ours"]
backend = "engram:dense"
k = 7
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**_RECORD, "sample_id": f"conv-{i}"} for i in range(2)]))
    return path


def _file(tmp_path: Path, text: str = _FILE) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def _run(tmp_path: Path, data: Path, *arguments: str, text: str = _FILE) -> int:
    out = str(tmp_path / "run")
    return main(["run", str(_file(tmp_path, text)), "--data", str(data), "--out", out, *_DOUBLES, *arguments])


def _backends(run: Path) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads((run / "manifest.json").read_text())["backends"]
    return entries


def test_a_variant_is_a_backend_like_any_other_with_settings_of_its_own(tmp_path: Path, data: Path) -> None:
    assert _run(tmp_path, data, "--set", "engram.k=20", "--set", "engram.speaker=0.7") == 0
    entries = _backends(tmp_path / "run")
    assert list(entries) == ["engram", "no speaker", "dense, ours", "conditional"]
    assert [facts["backend"] for facts in entries.values()] == ["engram", "engram", "engram", "conditional"]
    kept = {label: facts["settings"] for label, facts in entries.items()}
    assert kept["no speaker"] == {**kept["engram"], "speaker": 0.0}  # --set reaches it, and its own settings win
    assert (kept["engram"]["k"], kept["engram"]["speaker"]) == (20, 0.7)
    assert (kept["dense, ours"]["ranker"], kept["dense, ours"]["k"], kept["dense, ours"]["speaker"]) == (
        "dense",
        7,
        0.7,
    )
    asked = [r.backend for r in RunFolder(tmp_path / "run").records()]
    assert {label: asked.count(label) for label in entries} == dict.fromkeys(entries, 8)
    assert main(["show", str(tmp_path / "run"), "conv-0:q0", "--backend", "no speaker"]) == 0


def test_a_run_with_variants_is_resumed_and_repeated(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, data) == 0
    first_run = tmp_path / "run"
    whole = [r.key for r in RunFolder(first_run).records()]
    lines = (first_run / "records.jsonl").read_bytes().splitlines(keepends=True)
    (first_run / "records.jsonl").write_bytes(b"".join(lines[:5]))
    assert main(["run", "--resume", str(first_run)]) == 0
    assert sorted(r.key for r in RunFolder(first_run).records()) == sorted(whole)
    again = tmp_path / "again"
    assert main(["run", str(first_run / "manifest.json"), "--data", str(data), "--out", str(again), *_DOUBLES]) == 0
    assert _backends(again) == _backends(first_run)
    assert main(["run", "--resume", str(first_run), "--backend", "engram"]) == 2
    assert "cannot be resumed with other settings: backends was" in capsys.readouterr().err
    stored = json.loads((first_run / "manifest.json").read_text())
    stored["settings"]["variants"]["no speaker"]["speaker"] = 1.0
    (first_run / "manifest.json").write_text(json.dumps(stored))
    capsys.readouterr()
    assert main(["run", "--resume", str(first_run)]) == 2
    assert "it would mix two experiments: backends: no speaker was" in capsys.readouterr().err


def test_one_variant_is_chosen_on_the_command_line(tmp_path: Path, data: Path) -> None:
    settings = new_settings(_file(tmp_path), {"backends": ["no speaker"], "data": str(data)})
    assert settings.variants == {"no speaker": {"backend": "engram", "speaker": 0.0}}
    assert settings.reference is None  # it is not chosen
    assert _run(tmp_path, data, "--backend", "no speaker") == 0
    assert list(_backends(tmp_path / "run")) == ["no speaker"]


def test_a_variant_has_the_traits_of_its_settings(tmp_path: Path, data: Path) -> None:
    text = (
        'backends = ["by model", "worse", "all"]\n'
        '[variants."by model"]\nbackend = "engram"\nextractor = "llm"\n'
        '[variants.worse]\nbackend = "degraded"\nk = 3\n'
        '[variants.all]\nbackend = "full-history"\n'
    )
    given = {"data": str(data), "options": {"engram.total": "9"}, "model": "m", "base_url": "http://localhost:9/v1"}
    plan = plan_run(new_settings(_file(tmp_path, text), {**given, "reader": "offline", "judge": "offline"}), dry=True)
    assert plan.memories is not None
    by_model, worse, everything = (plan.memories.backends[label] for label in ("by model", "worse", "all"))
    assert plan.memories.llm is not None
    assert settings_of(by_model)["total"] == 9
    assert (settings_of(worse)["k"], settings_of(worse)["total"]) == (3, 9)  # engram's settings are degraded's
    assert type(everything).__name__ == "FullHistoryBackend"
    assert "all is limited only by the reader's window" in plan.why["budget"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('a = 1', "variants.'x': is not a table with a backend"),
        ('backend = 3', "variants.'x': is not a table with a backend"),
        ('backend = "nope"', "variants.'x': there is no backend 'nope'; name one of engram"),
        ('backend = "no.such:Thing"', "variants.'x': backend 'no.such:Thing': no.such:Thing cannot be imported"),
        ('backend = "bm25"\nk = 1', "variants.'x': backend 'bm25' has no setting 'k'; it has no settings"),
        ('backend = "engram:dense"\nnope = 1', "variants.'x': backend 'engram:dense' has no setting 'nope'; its settings"),
        ('backend = "engram"\nk = "20"', "variants.'x': k = '20' is not a whole number"),
        ('backend = "engram"\nk = 2.5', "variants.'x': k = 2.5 is not a whole number"),
        ('backend = "engram"\nk = true', "variants.'x': k = True is not a whole number"),
        ('backend = "engram"\nspeaker = "much"', "variants.'x': speaker = 'much' is not a number"),
        ('backend = "engram"\nspeaker = nan', "variants.'x': speaker = nan is not a number"),
        ('backend = "engram"\nspeaker = 1' + 400 * "0", f"variants.'x': speaker = 1{400 * '0'} is not a number"),
        ('backend = "engram"\ntyped = 1', "variants.'x': typed = 1 is not true or false"),
        ('backend = "engram"\nranker = "best"', "variants.'x': ranker = 'best' is not one of hybrid, dense"),
        ('backend = "engram"\nk = [1]', "variants.'x': k = [1] is not a whole number"),
        ('backend = "tests.doubles:OddBackend"\nreturns = 1', "variants.'x': returns = 1 is not text"),
    ],
)  # fmt: skip
def test_a_faulty_variant_is_one_sentence_with_file_variant_and_key(
    tmp_path: Path, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, f'backends = ["x"]\n[variants.x]\n{text}\n')
    assert main(["run", str(file)]) == 2
    error = capsys.readouterr().err
    assert f"{file}: {sentence}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[variants.x]\nbackend = "engram"', "backends does not name the variant 'x'"),
        ('backends = ["bm25"]\n[variants.bm25]\nbackend = "engram"', "variants.'bm25': is the name of a backend"),
        ('backends = ["engram: x"]\n[variants."engram: x"]\nbackend = "engram"', "is the name of a backend"),
        ('backends = [""]\n[variants.""]\nbackend = "engram"', "variants.'': has no name"),
        ('backends = ["x"]\n[variants]\nx = 1', "variants.'x': is not a table with a backend"),
        ("variants = 1", "'variants' is 1, not an object"),
        ('reference = "x"', "reference = 'x' is not one of the backends; name one of none, engram"),
        ('backends = ["x"]\n[variants.x]\nbackend = "engram:nope"', "variant 'x': backend 'engram:nope': there is no preset"),
        ('backends = ["x"]\n[variants.x]\nbackend = "engram"\nk = 0', "variant 'x': backend 'engram' cannot be made (k and"),
    ],
)  # fmt: skip
def test_a_faulty_experiment_is_one_sentence(
    tmp_path: Path, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(_file(tmp_path, text))]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


# --- who is paired with whom ------------------------------------------------------------------------------------


def _compared(path: Path, settings: dict[str, Any], labels: list[str]) -> RunFolder:
    records = [item.model_copy(update={"backend": label}) for label in labels for item in run()[4:8]]
    return folder(path, records, settings=settings, backends={label: backend() for label in labels})


def _pairs(*runs: RunFolder, against: str | None = None) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in compare(runs, against=against).pairs]


def test_a_variant_is_paired_with_its_unaltered_backend_and_others_with_the_reference(tmp_path: Path) -> None:
    variants = {"no a": {"backend": "engram"}, "b": {"backend": "bm25", "k": 1}, "lone": {"backend": "conditional"}}
    labels = ["engram", "no a", "bm25", "b", "lone", "dense"]
    run = _compared(tmp_path / "mine", {"variants": variants, "reference": "dense"}, labels)
    assert _pairs(run) == [
        ("engram", "dense"),
        ("no a", "engram"),
        ("bm25", "dense"),
        ("b", "bm25"),
        ("lone", "dense"),
    ]
    notes = " ".join(note.text for note in compare([run]).notes)
    assert "each is paired with its unaltered backend" in notes
    assert _pairs(run, against="b") == [(label, "b") for label in labels if label != "b"]
    assert "Variants:" not in " ".join(note.text for note in compare([run], against="b").notes)
    with pytest.raises(UserError, match="--against nope: is not one of the compared backends, which are engram, no a"):
        compare([run], against="nope")


def test_the_most_accurate_reference_is_not_a_variant(tmp_path: Path) -> None:
    """All are right on the same questions, so that the first unaltered backend is taken."""
    run = _compared(tmp_path / "mine", {"variants": {"v": {"backend": "engram"}}}, ["v", "engram", "bm25"])
    assert _pairs(run) == [("v", "engram"), ("bm25", "engram")]


def test_a_variant_is_paired_with_its_earlier_run_before_its_unaltered_backend(tmp_path: Path) -> None:
    settings = {"variants": {"v": {"backend": "engram"}}}
    one, two = (_compared(tmp_path / name, settings, ["engram", "v"]) for name in ("one", "two"))
    expected = [("v (one)", "engram (one)"), ("engram (two)", "engram (one)"), ("v (two)", "v (one)")]
    assert _pairs(one, two) == expected
    assert _pairs(one, two, against="v (two)") == [
        ("engram (one)", "v (two)"), ("v (one)", "v (two)"), ("engram (two)", "v (two)"),
    ]  # fmt: skip


def test_against_is_a_flag_of_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _compared(tmp_path / "mine", {}, ["engram", "bm25", "dense"])
    assert main(["compare", str(run.path), "--against", "dense", "--format", "json"]) == 0
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [("engram", "dense"), ("bm25", "dense")]
    assert main(["compare", str(run.path), "--against", "dense", "--pairs", "all"]) == 2
    assert main(["compare", str(run.path), "--against", "nope"]) == 2


def test_evidence_recall_is_paired_where_there_is_evidence_to_find(tmp_path: Path) -> None:
    records = [
        record(backend=label, question_id=f"q{i}", evidence_recall=None if i == 3 else share, unanswerable=i == 4)
        for label, share in (("engram", 0.75), ("bm25", 0.5))
        for i in range(5)
    ]
    run = folder(tmp_path / "mine", records, backends={"engram": backend(), "bm25": backend()}, settings={})
    (pair,) = compare([run], against="bm25").pairs
    difference = pair.measures["evidence_recall"]
    assert difference is not None
    assert (difference.mean, difference.n) == (0.25, 3)
    assert pair.to_json()["evidence_recall"]["mean"] == 0.25
    unknown = [item.model_copy(update={"evidence_recall": None}) for item in records]
    backends = {"engram": backend(), "bm25": backend()}
    bare = compare([folder(tmp_path / "bare", unknown, backends=backends, settings=manifest_json()["settings"])])
    assert "evidence recall" not in [column.name for column in bare.tables[-1].columns]


# --- the experiments that are committed -------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(_BENCHMARKS.glob("*.toml")), ids=lambda path: path.name)
def test_every_experiment_file_is_understood(path: Path) -> None:
    values = tomllib.loads(path.read_text("utf-8"))
    if "rule" in values:
        pytest.skip("rules of a check, no experiment")
    settings = new_settings(path, {})
    for label in settings.labels():
        own = {key: value for key, value in settings.variants.get(label, {}).items() if key != "backend"}
        open_backend(settings.backend_of(label), {}, own)


def test_each_ablation_changes_only_the_part_in_its_name() -> None:
    """And no part is off to begin with: an ablation of it would show nothing."""
    variants = new_settings(_BENCHMARKS / "ablations.toml", {}).variants
    assert {variant["backend"] for variant in variants.values()} == {"engram", "conditional"}
    for label, variant in variants.items():
        base = str(variant["backend"])
        whole = settings_of(open_backend(base, {}))
        own = {key: value for key, value in variant.items() if key != "backend"}
        altered = settings_of(open_backend(base, {}, own))
        assert {key for key in whole if whole[key] != altered[key]} == set(own), label
        assert label.startswith(f"{base} ")


def test_the_shares_go_from_0_to_1() -> None:
    settings = new_settings(_BENCHMARKS / "split_budget.toml", {})
    shares = {label: variant["share"] for label, variant in settings.variants.items()}
    assert list(shares) == list(settings.backends)
    assert shares == {f"conditional {tenth}0 %".replace(" 00", " 0"): tenth / 10 for tenth in range(11)}
    assert {variant["backend"] for variant in settings.variants.values()} == {"split-budget"}
