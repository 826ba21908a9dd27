"""What a call costs, by a dated table that users can put their own entries before."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")  # gpt-4o-mini-2024-07-18, gpt-4-0613
_RATES = ("input", "cached_input", "output")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    cached_input: float
    output: float

    def cost(self, prompt_tokens: float, completion_tokens: float, cached_prompt_tokens: float = 0) -> float:
        fresh = prompt_tokens - cached_prompt_tokens
        return (fresh * self.input + cached_prompt_tokens * self.cached_input + completion_tokens * self.output) / 1e6


class Prices:
    """The packaged table, with the entries of the user's file before it. Raises UserError for a file that is not one."""

    def __init__(self, path: Path | None = None) -> None:
        packaged = resources.files("engram_eval.llm.cost") / "prices.toml"
        self._prices = _read(packaged.read_text("utf-8"), "prices.toml")
        if path is not None:
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                raise UserError(
                    f"{path}: the price file cannot be read ({reason}); name another with --prices"
                ) from None
            self._prices.update(_read(text, str(path)))

    def of(self, model: str) -> Price | None:
        """The price of a model, of the model that it is a dated snapshot of, or None."""
        return self._prices.get(model) or self._prices.get(_SNAPSHOT.sub("", model))


def _read(text: str, where: str) -> dict[str, Price]:
    try:
        models = tomllib.loads(text).get("models")
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where}: not TOML ({error}); see engram_eval/llm/cost/prices.toml for the form") from None
    if not isinstance(models, dict):
        raise UserError(f"{where}: no [models] table; see engram_eval/llm/cost/prices.toml for the form")
    return {model: _price(entry, f"{where}: model {model!r}") for model, entry in models.items()}


def _price(entry: Any, where: str) -> Price:
    if not isinstance(entry, dict) or "input" not in entry or "output" not in entry:
        raise UserError(f"{where}: needs `input` and `output`, in dollars per million tokens")
    rates: dict[str, float] = {}
    for name in _RATES:
        rate = entry.get(name, entry["input"])
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate) or rate < 0:
            raise UserError(f"{where}: `{name}` is {rate!r}; write dollars per million tokens, 0 or more")
        rates[name] = float(rate)
    return Price(**rates)
