"""Calls OpenAI-compatible models: one client for the reader, the judge, memories and embedders, with cache and budget.

    llm = LLM(LLMSettings(base_url="http://localhost:8000/v1"), cache_folder())
    completion = await llm.chat(role="judge", model="gpt-4o-mini", messages=[{"role": "user", "content": "…"}])

A call ends in one of three ways: with its answer; with `LLMError`, which is recorded for the question; or with a
`UserError` (such as `OverBudget` and `CacheMiss`), after which no further call can succeed and the run should stop. Every
answer of the server is in the response cache before the caller gets it, so that a stopped run can be resumed.

Other packages import the names below, the price table (`llm.cost.prices`), metering (`llm.cost.metering`), the address of an
endpoint (`llm.endpoint`), what a model accepts (`llm.provider_capabilities`) and bundles (`llm.cache.bundle`). The names
below are loaded at first use: the SDK behind the client takes a second to import, and offline runs do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram_eval.llm.cache.response_cache import ResponseCache
    from engram_eval.llm.client import LLM
    from engram_eval.llm.clock import Clock
    from engram_eval.llm.completion import Completion
    from engram_eval.llm.cost.budget import BudgetTracker
    from engram_eval.llm.embeddings import Embedded
    from engram_eval.llm.errors import CacheMiss, LLMError, OverBudget, Refused
    from engram_eval.llm.settings import LLMSettings

__all__ = [
    "LLM",
    "BudgetTracker",
    "CacheMiss",
    "Clock",
    "Completion",
    "Embedded",
    "LLMError",
    "LLMSettings",
    "OverBudget",
    "Refused",
    "ResponseCache",
]

_MODULES = {
    "LLM": "client",
    "BudgetTracker": "cost.budget",
    "CacheMiss": "errors",
    "Clock": "clock",
    "Completion": "completion",
    "Embedded": "embeddings",
    "LLMError": "errors",
    "LLMSettings": "settings",
    "OverBudget": "errors",
    "Refused": "errors",
    "ResponseCache": "cache.response_cache",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
