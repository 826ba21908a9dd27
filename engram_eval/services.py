"""What the run provides to readers and judges. (Memories get `backends.backend.Services`.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engram_eval.datasets.benchmark import Benchmark
    from engram_eval.embedders.embedder import Embedder
    from engram_eval.language.prompt_file import PromptFile
    from engram_eval.language.tokens import TokenCounter
    from engram_eval.llm import Completion


class RoleModel(Protocol):
    """The model of a reader or a judge. Its calls are cached, counted in the manifest, and limited by --max-cost."""

    model: str

    async def chat(
        self,
        *,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
        repeat: int = 0,
        accepts: Callable[[str], bool] | None = None,
    ) -> Completion:
        """One answer: `.text`, or `.data` that follows the JSON `schema`; with `.latency_s`, `.cost_usd` and tokens.

        `accepts`: whether an answer with this text can be used; a cached one that cannot be used is asked for again. `repeat`
        numbers answers to the same messages, such as votes: each number has its own entry in the cache.
        """
        ...


@dataclass(frozen=True, slots=True)
class RoleServices:
    """What a reader or a judge is made with: `MyJudge(services)`, or with its own settings, `MyJudge(services, lenient=True)`.

    A judge that calls `services.llm` returns its verdict with the call's `latency_s` and `cost_usd`, and a reader its answer
    with these and the tokens. Set the class attribute `asks_model = True`: then up to --max-in-flight calls overlap.
    """

    benchmark: Benchmark
    """The benchmark of the run: its prompts and its judge's rules."""
    tokens: TokenCounter
    """`tokens.count(text)` counts tokens as the budget does."""
    window: int
    """The longest context in tokens that the run allows a reader (--window)."""
    votes: int
    """Verdicts per answer (--judge-votes), for a judge that takes votes."""
    open_llm: Callable[[], RoleModel]
    open_embedder: Callable[[], Embedder]
    own_prompt: PromptFile | None = None
    """The prompt file that the user names for this role. Only the reader and the judge `llm` may be given one."""

    @property
    def llm(self) -> RoleModel:
        """The model that the run names for this role. Raises UserError if it needs an API key and has none."""
        return self.open_llm()

    @property
    def embedder(self) -> Embedder:
        """`await embedder.embed(texts)` gives unit vectors, a float32 array of shape (len(texts), embedder.dimensions)."""
        return self.open_embedder()
