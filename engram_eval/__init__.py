"""An evaluation harness for the memory of conversational agents: accuracy, context tokens, latency and cost.

    import engram_eval as ee

    run = ee.evaluate(dataset="locomo", data="locomo10.json", backends=[MyMemory(), "engram"], budget=916)
    print(run)                                    # the tables
    run.frame()                                   # one row per backend and question
    ee.compare(run, "results/earlier").to_markdown()

The names below are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram_eval.backends.backend import Memory, MemoryBackend, Services
    from engram_eval.backends.packing import pack
    from engram_eval.compare.comparison import Comparison
    from engram_eval.compare.runs import compare
    from engram_eval.datasets.benchmark import Benchmark
    from engram_eval.datasets.dataset import Dataset
    from engram_eval.embedders.embedder import Embedder
    from engram_eval.errors import UserError
    from engram_eval.judges.judge import Judge
    from engram_eval.readers.reader import Reader
    from engram_eval.results.manifest import Manifest
    from engram_eval.results.record import Record
    from engram_eval.results.summary import Summary
    from engram_eval.run.api import evaluate, grade, load, rejudge
    from engram_eval.run.finished import Run
    from engram_eval.run.rejudged import Rejudged
    from engram_eval.services import RoleServices
    from engram_eval.types import (
        Answer,
        Context,
        Conversation,
        ConversationInfo,
        Hit,
        Item,
        Question,
        Sample,
        Session,
        Turn,
        Verdict,
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Benchmark",
    "Comparison",
    "Context",
    "Conversation",
    "ConversationInfo",
    "Dataset",
    "Embedder",
    "Hit",
    "Item",
    "Judge",
    "Manifest",
    "Memory",
    "MemoryBackend",
    "Question",
    "Reader",
    "Record",
    "Rejudged",
    "RoleServices",
    "Run",
    "Sample",
    "Services",
    "Session",
    "Summary",
    "Turn",
    "UserError",
    "Verdict",
    "compare",
    "evaluate",
    "grade",
    "load",
    "pack",
    "rejudge",
]

_TYPES = "Answer Context Conversation ConversationInfo Hit Item Question Sample Session Turn Verdict"
_MODULES = {
    "run.api": "evaluate grade load rejudge",
    "run.finished": "Run",
    "run.rejudged": "Rejudged",
    "types": _TYPES,
    "backends.backend": "Memory MemoryBackend Services",
    "backends.packing": "pack",
    "compare.comparison": "Comparison",
    "datasets.benchmark": "Benchmark",
    "datasets.dataset": "Dataset",
    "embedders.embedder": "Embedder",
    "errors": "UserError",
    "judges.judge": "Judge",
    "readers.reader": "Reader",
    "results.manifest": "Manifest",
    "results.record": "Record",
    "results.summary": "Summary",
    "services": "RoleServices",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "compare":  # a package that can be called
        return import_module(f"{__name__}.compare")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
