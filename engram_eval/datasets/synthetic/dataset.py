"""The synthetic dialogues as datasets: generated in the official formats and read by the benchmarks' loaders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engram_eval.datasets.dataset import Dataset, Notes
from engram_eval.datasets.locomo import loader as locomo
from engram_eval.datasets.longmemeval import loader as longmemeval
from engram_eval.datasets.synthetic import locomo_records, longmemeval_records
from engram_eval.errors import UserError
from engram_eval.system.json_input import Node
from engram_eval.types import Sample

_GENERATED = Path("synthetic")  # shown in errors in place of a file name


def open_synthetic(data: Path | None, options: Mapping[str, str]) -> Dataset:
    """LoCoMo style. Options: conversations, seed, sessions and turns (per conversation)."""
    sizes = _numbers(data, options, {"conversations": 10, "seed": 0, "sessions": 30, "turns": 600})
    return Dataset(
        name="synthetic",
        origin=f"generated in LoCoMo's style ({_words(sizes)})",
        sha256=_identity("locomo", sizes),
        categories=tuple(locomo.CATEGORIES.values()),
        headline=tuple(locomo.CATEGORIES.values())[:4],
        read=lambda notes: _samples(locomo_records(**sizes), locomo.sample_from_record, notes),
    )


def open_synthetic_longmemeval(data: Path | None, options: Mapping[str, str]) -> Dataset:
    """LongMemEval-S style, one question per history. Options: histories, seed, sessions and tokens (per history)."""
    sizes = _numbers(data, options, {"histories": 60, "seed": 0, "sessions": 50, "tokens": 115_000})
    return Dataset(
        name="synthetic_longmemeval",
        origin=f"generated in LongMemEval-S's style ({_words(sizes)})",
        sha256=_identity("longmemeval", sizes),
        categories=longmemeval.CATEGORIES,
        headline=longmemeval.CATEGORIES,
        read=lambda notes: _samples(longmemeval_records(**sizes), longmemeval.sample_from_record, notes),
    )


def _samples(
    records: Iterator[dict[str, Any]], sample_from_record: Callable[[Node, Notes], Sample], notes: Notes
) -> Iterator[Sample]:
    for i, record in enumerate(records):
        yield sample_from_record(Node(record, _GENERATED, f"record {i}", "the official format"), notes)


def _numbers(data: Path | None, options: Mapping[str, str], defaults: Mapping[str, int]) -> dict[str, int]:
    if data is not None:
        raise UserError(f"--data {data}: synthetic dialogues are generated, not read; leave --data or --dataset out")
    numbers = dict(defaults)
    for key, text in options.items():
        if key not in defaults:
            raise UserError(f"--set dataset.{key}={text}: there is no such setting; there are {', '.join(defaults)}")
        if not text.isdecimal() or (int(text) == 0 and key != "seed"):
            raise UserError(f"--set dataset.{key}={text}: not a positive whole number")
        numbers[key] = int(text)
    return numbers


def _identity(style: str, sizes: Mapping[str, int]) -> str:
    """A hash that, like that of a file, changes whenever the generated data could: with the settings and the generator."""
    digest = hashlib.sha256(f"{style} {sorted(sizes.items())}".encode())
    for file in sorted(Path(__file__).parent.iterdir()):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _words(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {value:,}" for key, value in sizes.items())
