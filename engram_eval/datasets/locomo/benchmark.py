"""LoCoMo (Maharana et al., ACL 2024) as one value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engram_eval.datasets.benchmark import Benchmark, JudgeRules
from engram_eval.datasets.dataset import Dataset, refuse_options
from engram_eval.datasets.locomo import loader
from engram_eval.datasets.locomo.f1 import locomo_f1
from engram_eval.datasets.source import find_data
from engram_eval.language.prompt import read_prompt

_FOLDER = Path(__file__).parent
_PROMPTS = _FOLDER / "prompts"


def _open(data: Path | None, options: Mapping[str, str]) -> Dataset:
    refuse_options(LOCOMO.name, options)
    path, origin = find_data(
        data, patterns=("locomo10.json", "locomo[0-9]*.json"), remote=loader.OFFICIAL, holds=loader.KEYS
    )
    return Dataset(
        benchmark=LOCOMO,
        origin=origin,
        sha256=loader.sha256_of(path),
        read=lambda notes: loader.read_samples(path, notes),
        published_sha256=loader.OFFICIAL.sha256,
        differences=loader.differences,
    )


def _recognises(head: bytes, path: Path) -> bool:
    """A file with LoCoMo's keys, or the first release's folder or zip of such files."""
    return path.is_dir() or path.suffix == ".zip" or loader.KEYS.search(head) is not None


LOCOMO = Benchmark(
    name="locomo",
    summary="10 dialogues of two people, 1,986 questions (Maharana et al., ACL 2024); fetched once, 2.8 MB",
    open=_open,
    recognises=_recognises,
    categories=tuple(loader.CATEGORIES.values()),
    headline=tuple(name for number, name in loader.CATEGORIES.items() if number != loader.ADVERSARIAL),
    budget=916,  # what ENGRAM uses (arXiv 2511.12960)
    budget_reason="the budget of ENGRAM's paper on LoCoMo",
    reader_prompt=read_prompt(_PROMPTS, "reader_locomo_v1"),
    # The default is the generous judge that the field quotes; `strict` requires the exact fact.
    judge_rules=JudgeRules(
        default=read_prompt(_PROMPTS, "judge_locomo_standard_v1"),
        variants={"strict": read_prompt(_PROMPTS, "judge_locomo_strict_v1")},
    ),
    f1=locomo_f1,
    answer_tokens_beyond_gold=4,
    published=_FOLDER / "published.toml",
    licence="CC BY-NC 4.0",
    citation="Maharana et al., Evaluating Very Long-Term Conversational Memory of LLM Agents, ACL 2024",
    homepage="https://github.com/snap-research/locomo",
)
