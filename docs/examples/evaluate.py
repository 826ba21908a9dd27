"""Measure a memory of your own from Python, on dialogues of your own.

python docs/examples/evaluate.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import engram_eval as ee

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))

from my_memory import EmbeddingBackend  # noqa: E402 - the line above makes it importable

run = ee.evaluate(
    dataset="dialogues",
    data=_HERE / "my_dialogues.jsonl",
    backends={"mine": EmbeddingBackend(most=20), "bm25": "bm25"},
    budget=60,
)
print(run)
for label, backend in run.summary.backends.items():
    print(f"{label:8} evidence recall {backend.mean('evidence_recall')}")
