"""The LLM reader: sends the context and the question to a model and returns its brief answer."""

from __future__ import annotations

from datetime import datetime

from engram_eval.language.prompt import Prompt
from engram_eval.services import RoleModel, RoleServices
from engram_eval.types import Answer, Context

_MAX_TOKENS = 512  # a brief answer takes a few dozen; a model that reasons gets room for that on top


class LLMReader:
    """`window`: the longest context in tokens, after subtracting what prompt and answer need."""

    name = "llm"

    def __init__(self, llm: RoleModel, model: str, *, prompt: Prompt, window: int) -> None:
        self.model = model
        self.window = window
        self.prompts: tuple[Prompt, ...] = (prompt,)
        self._llm = llm

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        completion = await self._llm.chat(
            messages=self.messages(question, asked_at=asked_at, context=context),
            max_tokens=_MAX_TOKENS,
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
        asked = f"Asked on {asked_at.day} {asked_at:%B} {asked_at.year}: " if asked_at else ""
        memories = context.text or "(there are none)"
        return [
            {"role": "system", "content": self.prompts[0].text},
            {"role": "user", "content": f"Memories:\n{memories}\n\nQuestion: {asked}{question}"},
        ]


def make_llm_reader(services: RoleServices) -> LLMReader:
    """The reader with the prompt of the run's benchmark."""
    llm = services.llm
    return LLMReader(llm, llm.model, prompt=services.benchmark.reader_prompt, window=services.window)
