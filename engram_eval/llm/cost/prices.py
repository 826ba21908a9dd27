"""What a call costs: a dated price table, to which users can add entries of their own."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from engram_eval.system.files import read_bytes
from engram_eval.system.validation import validate_toml

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")  # gpt-4o-mini-2024-07-18, gpt-4-0613
_FIX = "write dollars per million tokens, as in engram_eval/llm/cost/prices.toml"


class Price(BaseModel):
    """US dollars per million tokens. Without a `cached_input`, cached prompt tokens cost what the others cost."""

    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None

    def cost(self, prompt_tokens: float, completion_tokens: float, cached_prompt_tokens: float = 0) -> float:
        cached_input = self.input if self.cached_input is None else self.cached_input
        fresh = prompt_tokens - cached_prompt_tokens
        return (fresh * self.input + cached_prompt_tokens * cached_input + completion_tokens * self.output) / 1e6


class PriceTable(BaseModel):
    """A price file: prices.toml, or one of the user's."""

    models: dict[str, Price]


class Prices:
    """The packaged table. Entries of the user's file come first. Raises UserError for a file that is not a price table."""

    def __init__(self, path: Path | None = None) -> None:
        packaged = resources.files("engram_eval.llm.cost") / "prices.toml"
        self._prices = _read(packaged.read_bytes(), "prices.toml")
        if path is not None:
            content = read_bytes(path, fix="name another price file with --prices")
            self._prices.update(_read(content, str(path)))

    def of(self, model: str) -> Price | None:
        """The price of a model, or of the model that it is a dated snapshot of, or None."""
        return self._prices.get(model) or self._prices.get(_SNAPSHOT.sub("", model))


def _read(content: bytes, where: str) -> dict[str, Price]:
    return validate_toml(PriceTable, content, where=where, fix=_FIX).models
