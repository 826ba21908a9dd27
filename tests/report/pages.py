"""Runs to render as pages: hostile ones, and large ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engram_eval.compare.comparison import compare
from engram_eval.metrics.failure_stage import LabelErrors
from engram_eval.report.page import render
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from tests.records import backend, changed, manifest, manifest_json, probe, record

HOSTILE = (
    "</script><script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 2'>",
    '<svg onload="window.owned = 3"><!-- ]]> --> {{ 7 * 7 }} {% raw %} ${window.owned = 4}',
    "[click](javascript:window.owned=5) **bold** `code` javascript:window.owned=6",
    '" onmouseover="window.owned = 7" autofocus onfocus="window.owned = 8" \' x=\'',
    "admin\u202etxt.exe\u2066 \u200b\u2028 \u2029 \x00\x1b[31m \ud800 \udfff \ufeff\U000e0041 é 漢字 👩‍👩‍👧 שלום",
    "</style></title></textarea></noscript><iframe srcdoc='<script>parent.owned = 9</script>'>&lt;b&gt;&amp;#x3c;",
    "x" * 100_000,
)


def folder(
    path: Path, records: Iterable[Record], *, context: Callable[[Record], str | None] | None = None, **changes: Any
) -> RunFolder:
    """A run. `context` makes the context of each record; `changes` are values of the manifest."""
    run_folder = RunFolder(path)
    run_folder.create(manifest(**changes))
    with run_folder.appending() as writer:
        for item in records:
            text = context(item) if context else None
            writer.append(item if text is None else changed(item, context=writer.contexts.put(text)))
    return run_folder


def page(*folders: RunFolder, label_errors: LabelErrors | None = None) -> str:
    return render(folders, compare(folders, label_errors=label_errors), label_errors=label_errors)


def hostile(path: Path) -> RunFolder:
    """Every text that a dataset, a model or a user can write is one of `HOSTILE`, in every place."""
    records = [
        record(
            backend=label,
            conversation_id=text,
            question_id=f"{number}{text}",
            category=text,
            question=text,
            gold=text,
            answer=text,
            correct=bool((backend_number + number) % 2),
            judge={"name": text, "votes": [True, False], "reason": text},
            evidence=[text, f"{text}2"],
            evidence_found=[text],
            retrieved=[text, f"{text}2"],
            context_tokens=100 * (backend_number + 1),
        )
        for backend_number, label in enumerate(HOSTILE)
        for number, text in enumerate(HOSTILE)
    ]
    records[0] = changed(
        records[0], answer=None, status="error", error=HOSTILE[1], correct=None, f1=None, judge=None,
        evidence_recall=None, context_tokens=None, retrieval_s=None, answer_s=None,
    )  # fmt: skip
    everything = " ".join(HOSTILE[:-1])
    dataset = manifest_json()["dataset"]
    return folder(
        path,
        records,
        context=lambda item: "\n".join(HOSTILE[:-1]) + item.question,
        dataset={
            **dataset, "name": everything, "origin": everything, "sha256": everything,
            "categories": list(HOSTILE), "headline": list(HOSTILE[:4]), "questions": len(HOSTILE), "conversations": 8,
        },
        backends={label: backend() for label in HOSTILE},
        reader={"name": everything, "model": everything, "window": 10},
        judge={"name": "offline", "agreement": everything, "model": everything},
        embedder={"name": everything, "dimensions": 1},
        settings={everything: [everything]},
        probe=probe(everything),
        git_commit=everything,
        started=everything,
        packages={everything: everything},
        prompts={everything: everything},
    )  # fmt: skip


def large(path: Path, questions: int, labels: Iterable[str]) -> RunFolder:
    """As many questions as LoCoMo has, of about its length. The words are random, so that nothing compresses too well."""
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(3, 9))) for _ in range(3000)]

    def sentence(count: int) -> str:
        return " ".join(generator.choices(words, k=count))

    asked = [
        (f"conv-{n % 10}", sentence(11), sentence(5), generator.choice(["multi-hop", "single-hop"]))
        for n in range(questions)
    ]

    def records() -> Iterable[Record]:
        for label in labels:
            for n, (conversation, question, gold, category) in enumerate(asked):
                turns = [f"D{generator.randint(1, 30)}:{generator.randint(1, 25)}" for _ in range(25)]
                yield record(
                    backend=label, conversation_id=conversation, question_id=f"{conversation}:q{n}", question=question,
                    gold=gold, category=category, answer=sentence(14), correct=generator.random() < 0.6,
                    f1=generator.random(), judge={"name": "offline", "votes": [True], "reason": sentence(8)},
                    context_tokens=generator.randint(850, 916), retrieval_s=generator.random() / 100,
                    answer_s=generator.random() / 50, retrieved=turns, evidence=turns[:2], evidence_found=turns[:1],
                    evidence_stored=turns[:2],
                )  # fmt: skip

    dataset = manifest_json()["dataset"]
    return folder(
        path,
        records(),
        dataset={**dataset, "questions": questions, "conversations": 10},
        backends={label: backend() for label in labels},
    )
