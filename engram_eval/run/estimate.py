"""What a run would take, before anything is asked: tokens and dollars.

Contexts are measured where that is free: a memory of this package that asks no model recalls for some of the questions.
Of any other the budget is taken. How long a model's answers will be is not known; for them stand the figures below.
Nothing is taken off for what the response cache may hold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from engram_eval.backends.backend import MemoryBackend, Services, backend_info
from engram_eval.embedders.cached import CachedEmbedder
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.judges.probe import make_probes
from engram_eval.run.models import Role
from engram_eval.run.plan import Plan
from engram_eval.run.probe import questions_to_probe
from engram_eval.types import Context, Question, Sample

# Completion tokens: an answer is longer than the gold by what the benchmark says; a verdict is JSON with a sentence of
# reasons; a model that reasons thinks before each.
_VERDICT = 45
_THOUGHTS = 400
# Prompt tokens beside the texts: the chat format's own, and what an output schema adds.
_PER_MESSAGE, _PER_CALL = 4, 3
_PLAYED_BY: dict[str, Role] = {"extractor": "router"}
_MEASURED_CONVERSATIONS, _MEASURED_QUESTIONS = 4, 12
_INGESTED_CONVERSATIONS = 12


@dataclass
class Use:
    """Calls and tokens of one role."""

    calls: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0

    def add(self, prompt: float, completion: float, calls: float = 1) -> None:
        self.calls += calls
        self.prompt_tokens += prompt * calls
        self.completion_tokens += completion * calls


@dataclass
class Line:
    """One backend: questions, mean context tokens, and what it takes by role."""

    label: str
    questions: int
    context_tokens: float
    uses: dict[str, Use] = field(default_factory=lambda: defaultdict(Use))


async def estimate(plan: Plan) -> list[Line]:
    """A line a backend, in the plan's order, and one of the judge probe. Asks nobody.

    An ingest call that several memories make alike stands with the first: the others find it in the cache.
    """
    made: set[int] = set()
    lines = [await _Estimator(plan, label, backend, made).line() for label, backend in plan.backends.items()]
    return [*lines, *_probe(plan)]


def _probe(plan: Plan) -> list[Line]:
    if not plan.settings.judge_probe or not hasattr(plan.judge, "messages"):
        return []
    line = Line("(judge probe)", 0, 0.0)
    estimator = _Estimator(plan, line.label, next(iter(plan.backends.values())), set())
    for probe in make_probes(questions_to_probe(plan.dataset, plan.chosen), seed=plan.settings.seed):
        line.questions += 1
        estimator.add_verdict(line, probe.question, probe.answer)
    return [line] if line.questions else []


def dollars(plan: Plan, uses: Mapping[str, Use]) -> float | None:
    """What they cost; None if one of the models has no price."""
    total = 0.0
    for role, use in uses.items():
        price = plan.roles.price(_PLAYED_BY.get(role, cast(Role, role)))
        if price is None:
            return None
        total += price.cost(use.prompt_tokens, use.completion_tokens)
    return total


@dataclass(frozen=True)
class _Estimator:
    plan: Plan
    label: str
    backend: MemoryBackend
    made: set[int]
    """Hashes of the ingest calls that are estimated already."""

    async def line(self) -> Line:
        plan = self.plan
        line = Line(self.label, len(plan.chosen), 0.0)
        reader, judge = (hasattr(role, "messages") for role in (plan.reader, plan.judge))
        measured = await self._measured() if self._is_free() else None
        contexts = asked = 0.0
        for sample in plan.dataset.samples():
            questions = [question for question in sample.questions if question.id in plan.chosen]
            if not questions:
                continue
            context = measured if measured is not None else self._bound(sample)
            contexts += context * len(questions)
            asked += len(questions)
            for question in questions:
                if reader:
                    line.uses["reader"].add(context + self._reader_prompt(question), self._answer(question))
                if judge:
                    self.add_verdict(line, question, question.gold)
        line.context_tokens = contexts / max(asked, 1)
        self._add_ingestion(line)
        return line

    def add_verdict(self, line: Line, question: Question, answer: str) -> None:
        from engram_eval.judges.llm import SCHEMA

        prompt = self._prompt(self.plan.judge.messages(question, answer), SCHEMA)  # type: ignore[attr-defined]
        line.uses["judge"].add(prompt, _VERDICT + self._thoughts("judge"), self.plan.settings.judge_votes)

    def _is_free(self) -> bool:
        """Whether its recall can be tried out: it is ours, and asks nobody."""
        ours = type(self.backend).__module__.startswith("engram_eval.")
        traits = backend_info(self.backend)
        return ours and not traits.asks_model and traits.context_limit != "window"

    async def _measured(self) -> float:
        """Mean context tokens over some of the questions."""
        tokens: list[int] = []
        local = isinstance(self.plan.embedder, CachedEmbedder)
        embedder = self.plan.embedder if local else StaticEmbedder()  # whose vectors fill a budget as any do
        with TemporaryDirectory() as folder:
            for i, (sample, questions) in enumerate(islice(self._asked(), _MEASURED_CONVERSATIONS)):
                place = Path(folder) / str(i)
                place.mkdir()
                services = Services(embedder, self.plan.tokens, place)
                memory = await self.backend.open(sample.conversation.info, services)
                for session in sample.conversation.sessions:
                    await memory.ingest(session)
                if hasattr(memory, "ready"):
                    await memory.ready()
                for question in questions[:: max(1, len(questions) // _MEASURED_QUESTIONS)]:
                    if backend_info(self.backend).sees_evidence:
                        memory.show_evidence(question.evidence)  # type: ignore[attr-defined]
                    budget = self.plan.budget if backend_info(self.backend).context_limit == "budget" else None
                    context = await memory.retrieve(question.text, asked_at=question.asked_at, budget=budget)
                    tokens.append(self.plan.tokens.count(context.text))
                await memory.close()
        return sum(tokens) / max(len(tokens), 1)

    def _bound(self, sample: Sample) -> float:
        """What stands in a context at most: the whole history, or as much of it as the limit lets."""
        limits = {"budget": self.plan.budget, "window": self.plan.reader.window, "none": None}
        limit = limits[backend_info(self.backend).context_limit]
        turns = [turn for session in sample.conversation.sessions for turn in session.turns]
        history = self._count("\n".join(f"{turn.speaker}: {turn.text}" for turn in turns))
        return history if limit is None else min(history, limit)

    def _asked(self) -> Iterable[tuple[Sample, list[Question]]]:
        for sample in self.plan.dataset.samples():
            if questions := [question for question in sample.questions if question.id in self.plan.chosen]:
                yield sample, questions

    def _add_ingestion(self, line: Line) -> None:
        expected: Callable[..., Iterable[Any]] | None = getattr(self.backend, "expected_calls", None)
        if expected is None:
            return
        uses: dict[str, Use] = defaultdict(Use)
        some = 0
        for sample, _ in islice(self._asked(), _INGESTED_CONVERSATIONS):
            some += 1
            for session in sample.conversation.sessions:
                for call in expected(session, self._count):
                    if call.role == "embedder" and isinstance(self.plan.embedder, CachedEmbedder):
                        continue
                    what = hash((call.role, *(message["content"] for message in call.messages)))
                    if what not in self.made:
                        self.made.add(what)
                        thoughts = self._thoughts("router") if call.schema else 0
                        uses[call.role].add(self._prompt(call.messages, call.schema), call.completion_tokens + thoughts)
        for role, use in uses.items():
            scale = self.plan.conversations / some
            line.uses[role] = Use(use.calls * scale, use.prompt_tokens * scale, use.completion_tokens * scale)

    def _reader_prompt(self, question: Question) -> int:
        """All but the context."""
        messages = self.plan.reader.messages(question.text, asked_at=question.asked_at, context=Context("."))  # type: ignore[attr-defined]
        return self._prompt(messages)

    def _answer(self, question: Question) -> int:
        beyond = self.plan.dataset.benchmark.answer_tokens_beyond_gold
        return self._count(question.gold) + beyond + self._thoughts("reader")

    def _thoughts(self, role: Role) -> int:
        from engram_eval.llm.provider_capabilities import first_capabilities

        return _THOUGHTS if first_capabilities(self.plan.roles.model(role)).room else 0

    def _prompt(self, messages: Iterable[Mapping[str, str]], schema: Mapping[str, Any] | None = None) -> int:
        texts = [message["content"] for message in messages]
        told = self._count(json.dumps(schema)) if schema else 0
        return sum(map(self._count, texts)) + _PER_MESSAGE * len(texts) + _PER_CALL + told

    def _count(self, text: str) -> int:
        return self.plan.tokens.count(text)
