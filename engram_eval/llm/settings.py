"""The client's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engram_eval.errors import UserError


@dataclass(frozen=True)
class LLMSettings:
    """The limits are per client: roles that share a client, because they have one endpoint, share its limits.

    `base_url`: None means $OPENAI_BASE_URL, or OpenAI. `max_in_flight`: None means as many as the server answers at a time (16;
    on this machine what it says, or 1). `refresh`: cached answers of these roles from before this moment (seconds since 1970)
    are not used, but asked for again. `prices`: a TOML file like prices.toml, whose entries come before
    the packaged ones. `retries`: after the first attempt. `timeout_s`: for one whole attempt. `max_cost_usd`: what the
    run may spend (see `BudgetTracker` for a resumed run); cached answers cost nothing.
    """

    base_url: str | None = None
    max_in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_cost_usd: float | None = None
    replay: bool = False
    retries: int = 6
    timeout_s: float = 120.0
    prices: Path | None = None
    refresh: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, minimum in (
            ("max_in_flight", 1),
            ("requests_per_minute", 1),
            ("tokens_per_minute", 1),
            ("retries", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise UserError(f"--{name.replace('_', '-')} {value}: must be at least {minimum}")
        if not self.timeout_s > 0:
            raise UserError(f"--timeout {self.timeout_s:g}: must be above 0 seconds")
        if self.max_cost_usd is not None and not self.max_cost_usd >= 0:  # also catches NaN
            raise UserError(f"--max-cost {self.max_cost_usd:g}: must be 0 or more dollars")
