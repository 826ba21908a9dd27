"""Checks what is installed and what can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engram_eval import registry
from engram_eval.datasets import catalogue
from engram_eval.errors import UserError
from engram_eval.run.settings import Settings
from engram_eval.system.network import require_network
from engram_eval.system.paths import cache_folder


@dataclass(frozen=True, slots=True)
class Check:
    """`needed`: by the built-in default, which needs no key and no network. `text`: what was found, or what is wrong."""

    name: str
    ok: bool
    needed: bool
    text: str


def checks() -> Iterator[Check]:
    """Each check as it is made."""
    for needed, group in ((True, _NEEDED), (False, _OPTIONAL)):
        for name, check in group.items():
            yield _check(name, check, needed=needed)


def _check(name: str, check: Callable[[], str], *, needed: bool) -> Check:
    try:
        return Check(name, True, needed, check())
    except (UserError, OSError) as error:
        return Check(name, False, needed, str(error))


def _embedder() -> str:
    embedder = registry.resolve("embedders", "static")()
    return f"static, {embedder.dimensions} dimensions"


def _tokenizer() -> str:
    from engram_eval.language.tokens import token_counter

    return f"{token_counter().encoding}, embedded"


def _cache() -> str:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".probe"
    probe.write_text("")
    probe.unlink()
    return f"{folder}, writable"


def _locomo() -> str:
    return catalogue.benchmark("locomo").open(None, {}).origin


def _hub() -> str:
    require_network("https://huggingface.co", instead="LongMemEval needs a local file (--data, ENGRAM_EVAL_DATA)")
    return "reachable, LongMemEval can be fetched"


def _models() -> str:
    from engram_eval.llm.endpoint import endpoint_url
    from engram_eval.llm.model_names import shown_model
    from engram_eval.run.defaults import models_in_environment
    from engram_eval.run.servers import server_info

    if not models_in_environment():
        raise UserError("neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: reader and judge are offline")
    models = [shown_model(model.id) for model in server_info(Settings()).models]
    if not models:
        return f"{endpoint_url(None)} is reachable and does not list its models"
    return f"{endpoint_url(None)} serves {', '.join(models[:8])}{' …' if len(models) > 8 else ''}"


_NEEDED = {"embedder": _embedder, "tokenizer": _tokenizer, "cache": _cache}
_OPTIONAL = {"LoCoMo": _locomo, "Hugging Face": _hub, "models": _models}
