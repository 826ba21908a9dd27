"""What settings leave open, resolved: whether a model reads and judges, at which endpoint, and which model."""

from __future__ import annotations

import os
from typing import Any

from engram_eval.errors import UserError
from engram_eval.llm.model_names import shown_model
from engram_eval.run.models import DEFAULT_MODEL
from engram_eval.run.servers import server_info
from engram_eval.run.settings import Settings

_URLS = ("base_url", "reader_base_url", "judge_base_url", "router_base_url", "embedder_base_url")


def resolve_defaults(settings: Settings, *, roles_ask: bool = False, memories_ask: bool = False) -> Settings:
    """The settings with nothing left open: `auto` is `llm` if the environment names a key or an endpoint, or for a role
    with a prompt of the user's own.

    If no model is named but one is needed, an endpoint that serves a single model is asked for its name. `roles_ask`: a
    reader or judge other than `llm` needs the model; `memories_ask`: a memory does. Raises UserError if the
    model must be named.
    """
    from engram_eval.llm.endpoint import endpoint_url

    auto = "llm" if models_in_environment() or settings.base_url else "offline"
    settings = settings.replace(
        reader=("llm" if settings.reader_prompt else auto) if settings.reader == "auto" else settings.reader,
        judge=("llm" if settings.judge_prompt else auto) if settings.judge == "auto" else settings.judge,
    )
    if settings.base_url is None and (url := os.environ.get("OPENAI_BASE_URL")):
        settings = settings.replace(base_url=url)  # so that a resumed run uses the same endpoint
    urls: dict[str, Any] = {name: endpoint_url(url) for name in _URLS if (url := getattr(settings, name))}
    settings = settings.replace(**urls)  # `endpoint_url` refuses one with a password in it
    needs_model = settings.uses_llm() or roles_ask or (memories_ask and not settings.router_model)
    if settings.model is None and needs_model:
        settings = settings.replace(model=_model_of_endpoint(settings))
    return settings


def models_in_environment() -> str:
    """What in the environment selects models, in words; empty if nothing does."""
    names = [name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if os.environ.get(name)]
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} set" if names else ""


def _model_of_endpoint(settings: Settings) -> str:
    """The only model that the endpoint serves; the default model at OpenAI's."""
    from engram_eval.llm.endpoint import OPENAI_URL, endpoint_url

    url = endpoint_url(settings.base_url)
    if url == OPENAI_URL or (settings.reader_model and settings.judge_model):
        return DEFAULT_MODEL
    models = [model.id for model in server_info(settings).models]
    if settings.replay and not models:
        raise UserError(f"a replay of {url} needs the model's name; name it with --model")
    if len(models) == 1:
        return models[0]
    served = f"it serves {', '.join(map(shown_model, models[:12]))}" if models else "it does not list its models"
    raise UserError(f"{url}: which model? {served}; name one with --model")
