"""The one client through which reader, judge, router, extractor and embedder speak to a model.

    llm = LLM(LLMSettings(base_url="http://localhost:8000/v1"), cache_folder())
    completion = await llm.chat(role="judge", model="gpt-4o-mini", messages=[{"role": "user", "content": "…"}])

A call ends in one of three ways: with its answer; with `LLMError`, which belongs to the question and is recorded there;
or with a `UserError` (`OverBudget` and `CacheMiss` are two), after which no further call can succeed and the run should
stop. Every answer that the server gave is in the response cache before the caller sees it, so that a stopped run takes
up where it was.
"""

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
