"""How one call finds out which parameters a model accepts, and what later calls learn from it."""

from __future__ import annotations

from dataclasses import replace

from engram_eval.llm.provider_capabilities import (
    REASONING_TOKENS,
    ProviderCapabilities,
    first_capabilities,
    is_about_parameter,
    next_capabilities,
)
from engram_eval.llm.transport import HTTPStatusError


class Negotiation:
    """The capabilities that one call tries, adapted after each refusal. `known` is shared by all calls, by model."""

    def __init__(self, known: dict[str, ProviderCapabilities], model: str, *, asks_for_json: bool) -> None:
        self._known, self._model, self._asks_for_json = known, model, asks_for_json
        self.capabilities = known.get(model) or first_capabilities(model)
        self._tried = {self.capabilities}
        self._certain = True

    def adapt(self, error: HTTPStatusError) -> bool:
        """Chooses what to try after a refusal; False if there is nothing new to try."""
        if error.is_about_context() or error.is_about_content():
            return False
        candidate = self._known.get(self._model)
        if candidate is None or candidate in self._tried:  # else another call has found out meanwhile
            candidate = next_capabilities(self.capabilities, error, asks_for_json=self._asks_for_json)
        if candidate is None or candidate in self._tried:
            return False
        self._certain = self._certain and is_about_parameter(error)
        self.capabilities = candidate
        self._tried.add(candidate)
        return True

    def make_room(self) -> bool:
        """Gives a model that turned out to reason room for it, in this call and later ones; False if it has it already."""
        if self.capabilities.room:
            return False
        self.capabilities = replace(self.capabilities, room=REASONING_TOKENS)
        self._tried.add(self.capabilities)
        return True

    def remember(self) -> None:
        """After a successful call: later calls to the model begin with what worked."""
        if not self._certain:  # a server with a temporary problem must not change all later calls
            return
        output = self.capabilities.output
        if not self._asks_for_json:  # then nothing was learnt about output
            output = self._known.get(self._model, self.capabilities).output
        self._known[self._model] = replace(self.capabilities, output=output)
