"""Runs to make pages of: hostile ones, and large ones."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engram_eval.compare.comparison import compare
from engram_eval.report.page import render
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from tests.records import backend, changed, manifest, manifest_json, record

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


def folder(path: Path, records: Iterable[Record], **changes: Any) -> RunFolder:
    made = RunFolder(path)
    made.create(manifest(**changes))
    with made.appending() as writer:
        for item in records:
            writer.append(item)
    return made


def page(*folders: RunFolder, **given: Any) -> str:
    return render(folders, compare(folders), **given)


GROUPED = tuple(text.replace("\ud800", "").replace("\udfff", "") for text in HOSTILE)
"""For what the metrics group by: pandas takes no half of a surrogate pair there."""


def hostile(path: Path) -> RunFolder:
    """Every text that a dataset, a model or a user may write is one of `HOSTILE`, in every place."""
    records = []
    for at, one in enumerate(GROUPED):
        for number, text in enumerate(HOSTILE):
            records.append(
                record(
                    backend=one,
                    conversation_id=GROUPED[number],
                    question_id=f"{number}{text}",
                    category=GROUPED[number],
                    question=text,
                    gold=text,
                    answer=text,
                    correct=bool((at + number) % 2),
                    judge={"name": text, "votes": [True, False], "reason": text},
                    evidence=[text, f"{text}2"],
                    evidence_found=[text],
                    retrieved=[text, f"{text}2"],
                    context_tokens=100 * (at + 1),
                )
            )
    records[0] = changed(
        records[0], answer=None, status="error", error=HOSTILE[1], correct=None, f1=None, judge=None,
        evidence_recall=None, context_tokens=None, retrieval_s=None, answer_s=None,
    )  # fmt: skip
    everything = " ".join(HOSTILE[:-1])
    whole = manifest_json()
    return folder(
        path,
        records,
        dataset={
            **whole["dataset"], "name": everything, "origin": everything, "sha256": everything,
            "categories": list(GROUPED), "headline": list(GROUPED[:4]), "questions": len(HOSTILE), "conversations": 8,
        },
        backends={label: backend() for label in GROUPED},
        reader={"name": everything, "model": everything, "window": 10},
        judge={"name": "offline", "agreement": everything, "model": everything},
        embedder={"name": everything},
        settings={everything: [everything]},
        probe={"note": everything},
        **{everything: everything},
    )  # fmt: skip


def large(path: Path, questions: int, labels: Iterable[str]) -> RunFolder:
    """As many questions as LoCoMo has, of about its length; words are drawn, so that nothing compresses too well."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(3000)]

    def said(count: int) -> str:
        return " ".join(draw.choices(words, k=count))

    asked = [(f"conv-{n % 10}", said(11), said(5), draw.choice(["multi-hop", "single-hop"])) for n in range(questions)]

    def records() -> Iterable[Record]:
        for label in labels:
            for n, (conversation, question, gold, category) in enumerate(asked):
                turns = [f"D{draw.randint(1, 30)}:{draw.randint(1, 25)}" for _ in range(25)]
                yield record(
                    backend=label, conversation_id=conversation, question_id=f"{conversation}:q{n}", question=question,
                    gold=gold, category=category, answer=said(14), correct=draw.random() < 0.6, f1=draw.random(),
                    judge={"name": "offline", "votes": [True], "reason": said(8)}, context_tokens=draw.randint(850, 916),
                    retrieval_s=draw.random() / 100, answer_s=draw.random() / 50, retrieved=turns, evidence=turns[:2],
                    evidence_found=turns[:1], evidence_stored=turns[:2],
                )  # fmt: skip

    whole = manifest_json()
    return folder(
        path,
        records(),
        dataset={**whole["dataset"], "questions": questions, "conversations": 10},
        backends={label: backend() for label in labels},
    )
