"""The LLM reader: sends the context and the question to a model and returns its brief answer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.language.prompt_file import PromptFile, date_in_words
from engram_eval.services import RoleModel, RoleServices
from engram_eval.types import Answer, Context

_MAX_TOKENS = 512  # a brief answer takes a few dozen; a model that reasons gets room for that on top

ENGRAM = read_prompt(Path(__file__).parent / "prompts", "reader_engram_v1")
"""Asks for what the answer prompt of the ENGRAM paper (arXiv 2511.12960, section 3.5) asks for, in other words."""
VARIANTS = {"engram": ENGRAM}


class LLMReader:
    """`window`: the longest context in tokens, after subtracting what prompt and answer need.

    `variant` names a prompt that is not the benchmark's own; `own` is the user's prompt, in place of `prompt`.
    """

    max_tokens = _MAX_TOKENS

    def __init__(
        self,
        llm: RoleModel,
        model: str,
        *,
        prompt: Prompt,
        window: int,
        variant: str = "",
        own: PromptFile | None = None,
    ) -> None:
        self.name = f"llm:{variant}" if variant else "llm"
        self.model = model
        self.window = window
        self.prompts: tuple[Prompt, ...] = (own.prompt if own else prompt,)
        self.prompt_file = own.path.name if own else None
        self._own = own.default if own else None
        self._llm = llm

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        completion = await self._llm.chat(
            messages=self.messages(question, asked_at=asked_at, context=context),
            max_tokens=self.max_tokens,
        )
        return Answer(
            completion.text.strip(),
            completion.prompt_tokens,
            completion.completion_tokens,
            cost_usd=completion.cost_usd,
            cached=completion.cached,
            latency_s=completion.latency_s,
            first_token_s=completion.first_token_s,
            server_cached_tokens=completion.server_cached_tokens,
            reasoning_removed=completion.reasoning_removed,
        )

    def messages(self, question: str, *, asked_at: datetime | None, context: Context) -> list[dict[str, str]]:
        """The messages sent to the model."""
        if self._own:
            return self._own.fill({"question": question, "context": context.text, "date": date_in_words(asked_at)})
        asked = f"Asked on {date_in_words(asked_at)}: " if asked_at else ""
        memories = context.text or "(there are none)"
        return [
            {"role": "system", "content": self.prompts[0].text},
            {"role": "user", "content": f"Memories:\n{memories}\n\nQuestion: {asked}{question}"},
        ]


def make_llm_reader(services: RoleServices, variant: str = "") -> LLMReader:
    """`llm` has the prompt of the run's benchmark or the user's own, `llm:VARIANT` one of `VARIANTS`.

    Raises UserError for another variant, and for a variant with a prompt of the user's own.
    """
    if variant and variant not in VARIANTS:
        known = " or ".join(["llm", *(f"llm:{known}" for known in VARIANTS)])
        raise UserError(f"--reader llm:{variant}: there is no prompt {variant!r}; name {known}")
    if variant and services.own_prompt:
        raise UserError(f"--reader llm:{variant} and --reader-prompt name two prompts; leave one out")
    llm, prompt = services.llm, VARIANTS[variant] if variant else services.benchmark.reader_prompt
    return LLMReader(llm, llm.model, prompt=prompt, window=services.window, variant=variant, own=services.own_prompt)
