"""The LLM reader: sends the context and the question to a model and returns its brief answer."""

from __future__ import annotations

from datetime import datetime

from engram_eval.language.prompt import Prompt
from engram_eval.language.prompt_file import PromptFile, date_in_words
from engram_eval.services import RoleModel, RoleServices
from engram_eval.types import Answer, Context

_MAX_TOKENS = 512  # a brief answer takes a few dozen; a model that reasons gets room for that on top


class LLMReader:
    """`window`: the longest context in tokens, after subtracting what prompt and answer need.

    `own`: the user's prompt, in place of `prompt`.
    """

    name = "llm"

    def __init__(
        self, llm: RoleModel, model: str, *, prompt: Prompt, window: int, own: PromptFile | None = None
    ) -> None:
        self.model = model
        self.window = window
        self.prompts: tuple[Prompt, ...] = (own.prompt if own else prompt,)
        self.prompt_file = own.path.name if own else None
        self._own = own.default if own else None
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
        if self._own:
            return self._own.fill({"question": question, "context": context.text, "date": date_in_words(asked_at)})
        asked = f"Asked on {date_in_words(asked_at)}: " if asked_at else ""
        memories = context.text or "(there are none)"
        return [
            {"role": "system", "content": self.prompts[0].text},
            {"role": "user", "content": f"Memories:\n{memories}\n\nQuestion: {asked}{question}"},
        ]


def make_llm_reader(services: RoleServices) -> LLMReader:
    """The reader with the prompt of the run's benchmark, or with the user's own."""
    llm, prompt = services.llm, services.benchmark.reader_prompt
    return LLMReader(llm, llm.model, prompt=prompt, window=services.window, own=services.own_prompt)
