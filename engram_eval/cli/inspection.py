"""The `backends` and `doctor` commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from engram_eval import registry
from engram_eval.datasets import catalogue
from engram_eval.errors import UserError
from engram_eval.run.settings import Settings
from engram_eval.system.network import require_network
from engram_eval.system.paths import cache_folder

# --- backends ---------------------------------------------------------------------------------------------------


def list_backends() -> None:
    for name in registry.names("backends"):
        backend = registry.resolve("backends", name)
        print(f"{name:14} {(inspect.getdoc(backend) or '').partition(chr(10))[0]}")
        for key, value in registry.settings_of(backend()).items():
            print(f"{'':14}   --set {name}.{key}={_plain(value)}")
        for preset, settings in getattr(backend, "presets", {}).items():
            print(
                f"{'':14}   {name}:{preset} is {', '.join(f'{key}={_plain(value)}' for key, value in settings.items())}"
            )


def _plain(value: object) -> str:
    """As `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- doctor -----------------------------------------------------------------------------------------------------


def doctor() -> bool:
    """Prints one line a check. False if something that the embedded default needs is missing."""
    good = [_tell(name, check, needed=True) for name, check in _NEEDED.items()]
    for name, check in _OPTIONAL.items():
        _tell(name, check, needed=False)
    return all(good)


def _tell(name: str, check: Callable[[], str], *, needed: bool) -> bool:
    try:
        print(f"ok       {name}: {check()}")
        return True
    except (UserError, OSError) as error:
        print(f"{'MISSING' if needed else 'absent':8} {name}: {error}")
        return False


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
    from engram_eval.run.models import served_models, why_models

    if not why_models():
        raise UserError("neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: reader and judge are the offline ones")
    found = served_models(Settings())
    return (
        f"{endpoint_url(None)} serves {', '.join(found[:8])}{' …' if len(found) > 8 else ''}"
        if found
        else (f"{endpoint_url(None)} is there, and does not say what it serves")
    )


_NEEDED = {"embedder": _embedder, "tokenizer": _tokenizer, "cache": _cache}
_OPTIONAL = {"LoCoMo": _locomo, "Hugging Face": _hub, "models": _models}
