"""A judge's own verdicts on answers that have recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engram_eval.judges import agreement
from engram_eval.judges.grade import grade
from engram_eval.judges.judge import Judge
from engram_eval.judges.verdict_file import GradedAnswer, RecordedVerdict
from engram_eval.run.defaults import resolve_defaults
from engram_eval.run.extensions import Extensions, Opener
from engram_eval.run.models import MAX_IN_FLIGHT, ModelClients
from engram_eval.run.plan import reader_tokens
from engram_eval.run.settings import Settings, from_mapping
from engram_eval.system.event_loop import run_to_end


@dataclass(frozen=True)
class Agreement:
    """A judge that is about to grade recorded answers, with one instance per benchmark, since each has its own rules."""

    settings: Settings
    recorded: Sequence[RecordedVerdict]
    judges: Mapping[str, Judge]
    clients: ModelClients
    why: str
    """The judge in words."""
    calls_in_flight: int
    usage: dict[str, dict[str, float]] = field(default_factory=dict)
    """What the judge's calls took, by role, when it has graded."""

    def grade(self, count: Callable[[], object] = lambda: None) -> list[GradedAnswer]:
        """The verdicts, in the order of the recorded ones. `count` is called after each."""

        async def work() -> list[GradedAnswer]:
            todo = [(self.judges[answer.benchmark.name], answer.question, answer.answer) for answer in self.recorded]
            try:
                verdicts = await grade(todo, self.calls_in_flight, count)
                self.usage.update(self.clients.usage())
                return agreement.pair_verdicts(list(self.recorded), verdicts)
            finally:
                await self.clients.close()

        return run_to_end(work())


def prepare_agreement(recorded: Sequence[RecordedVerdict], given: Mapping[str, Any]) -> Agreement:
    """Opens the judge. No reader is used, so the judge defaults to offline, which costs nothing."""
    settings = from_mapping({"judge": "offline", **given, "reader": "offline"}, "command line")
    opener = Opener(settings, Extensions())
    asks_model = opener.asks_model("judges")
    settings = resolve_defaults(settings, roles_ask=asks_model)
    opener = Opener(settings, Extensions())
    clients, tokens = ModelClients(settings), reader_tokens(settings)
    benchmarks = {answer.benchmark.name: answer.benchmark for answer in recorded}
    judges = {name: opener.judge(clients.services("judge", b, tokens)) for name, b in benchmarks.items()}
    calls_model = asks_model or settings.judge_is_llm()
    who = clients.name_of("judge") if calls_model else next(iter(judges.values())).agreement
    return Agreement(
        settings,
        recorded,
        judges,
        clients,
        f"{settings.judge}{f': {who}' if who else ''}",
        (settings.max_in_flight or MAX_IN_FLIGHT) if calls_model else 1,
    )
