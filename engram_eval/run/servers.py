"""What the servers of a run say about themselves: which models they have, and how long a context may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from engram_eval.errors import UserError
from engram_eval.language.tokens import encoding_of
from engram_eval.run.models import WINDOW, Role, client_settings, endpoint_of, key_of, model_of
from engram_eval.run.settings import Settings
from engram_eval.system.event_loop import run_to_end
from engram_eval.system.paths import cache_folder

if TYPE_CHECKING:
    from engram_eval.llm.server_info import ServerInfo

_PROMPT_TOKENS = 600  # of the longest reader prompt with its question
_OTHER_VOCABULARY = 0.8  # a model whose vocabulary is unknown may make more tokens of a text than the run counts


def server_info(settings: Settings, role: Role | None = None) -> ServerInfo:
    """What the endpoint of a role (default: that of all roles) says. Raises UserError if it cannot be reached."""
    from engram_eval.llm import LLM

    url = endpoint_of(settings, role)

    async def ask() -> ServerInfo:
        llm = LLM(client_settings(settings, url), cache_folder(), api_key=key_of(settings, role, url))
        try:
            return await llm.server_info()
        finally:
            await llm.close()

    return run_to_end(ask())


class Servers:
    """The servers of a run's roles. Each is asked once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str | None], ServerInfo | None] = {}

    def fitting_window(self) -> int:
        """The longest context, as the run counts tokens, for which the reader's server has room besides prompt and answer."""
        from engram_eval.readers.llm import LLMReader

        length = self._context_length()
        if length is None:
            return WINDOW
        room = _PROMPT_TOKENS + (self._settings.reader_max_tokens or LLMReader.max_tokens)
        counted = 1.0 if encoding_of(model_of(self._settings, "reader")) else _OTHER_VOCABULARY
        return min(WINDOW, int(max(length - room, length // 4) * counted))

    def warnings(self, roles: Collection[Role], *, window: int | None) -> Iterator[str]:
        """What does not fit between the settings and the servers, one sentence each. `window`: what the user named."""
        from engram_eval.llm.model_names import shown_model

        for role in sorted(roles):
            info = self._info(role)
            served, model = [m.id for m in info.models] if info else [], model_of(self._settings, role)
            if served and model not in served:
                named = ", ".join(map(shown_model, served[:8])) + (" …" if len(served) > 8 else "")
                yield (
                    f"{endpoint_of(self._settings, role)} does not list the {role}'s model {shown_model(model)} "
                    f"(it lists {named}): another model may answer"
                )
        length = self._context_length() if "reader" in roles else None
        if length is not None and window is not None and window >= length:
            yield f"--window {window:,} is more than the {length:,} tokens that the reader's server has room for"

    def _context_length(self) -> int | None:
        info = self._info("reader")
        return info.context_length(model_of(self._settings, "reader")) if info else None

    def _info(self, role: Role) -> ServerInfo | None:
        """None for a server that cannot be reached: it stops the run at its first call."""
        url = endpoint_of(self._settings, role)
        place = url, key_of(self._settings, role, url)
        if place not in self._known:
            self._known[place] = None
            with suppress(UserError):
                self._known[place] = server_info(self._settings, role)
        return self._known[place]
