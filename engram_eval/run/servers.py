"""What the servers of a run say about themselves: which models they have, and how long a context may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from engram_eval.errors import UserError
from engram_eval.run.models import WINDOW, Role, client_settings, endpoint_of, key_of, model_of
from engram_eval.run.settings import Settings
from engram_eval.system.event_loop import run_to_end
from engram_eval.system.paths import cache_folder

if TYPE_CHECKING:
    from engram_eval.llm.server_info import ServerInfo

_PROMPT_TOKENS = 600  # of the longest reader prompt with its question
_ANSWER_TOKENS = 512


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


def fitting_window(settings: Settings) -> int:
    """The longest context in tokens that the reader's server has room for, with prompt and answer."""
    length = _context_length(settings)
    if length is None:
        return WINDOW
    room = _PROMPT_TOKENS + (settings.reader_max_tokens or _ANSWER_TOKENS)
    return min(WINDOW, max(length - room, length // 4))


def server_warnings(settings: Settings, roles: Collection[Role]) -> Iterator[str]:
    """What does not fit between the settings and the servers, one sentence each."""
    from engram_eval.llm.model_names import shown_model

    for role in sorted(roles):
        with suppress(UserError):  # a server that cannot be reached stops the run at its first call
            served = [model.id for model in server_info(settings, role).models]
            if served and model_of(settings, role) not in served:
                named = ", ".join(map(shown_model, served[:8])) + (" …" if len(served) > 8 else "")
                yield (
                    f"{endpoint_of(settings, role)} does not list the {role}'s model {shown_model(model_of(settings, role))} "
                    f"(it lists {named}): another model may answer"
                )
    length = _context_length(settings) if "reader" in roles else None
    if length is not None and settings.window is not None and settings.window >= length:
        yield f"--window {settings.window:,} is more than the {length:,} tokens that the reader's server has room for"


def _context_length(settings: Settings) -> int | None:
    with suppress(UserError):
        return server_info(settings, "reader").context_length(model_of(settings, "reader"))
    return None
