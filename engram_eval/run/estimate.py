"""What a run would take, in tokens and dollars, before any question is asked.

Contexts are measured where that costs nothing: a memory of this package that calls no model retrieves for some of the
questions. For any other memory the whole budget is assumed. The length of a model's answers is unknown, so the constants below
are used. Nothing is subtracted for what the response cache may hold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

from engram_eval.backends.backend import MemoryBackend, Services, backend_info
from engram_eval.backends.remote.memory import RemoteBackend
from engram_eval.embedders.cached import CachedEmbedder
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.judges.judge import Judge
from engram_eval.judges.probe import make_probes
from engram_eval.readers.reader import Reader
from engram_eval.run.models import CLIENT_OF, Role
from engram_eval.run.plan import MemorySetup, Plan
from engram_eval.run.probe import questions_to_probe
from engram_eval.system.event_loop import awaited
from engram_eval.tables.table import Column, Table
from engram_eval.types import Context, Question, Sample

# Completion tokens. The benchmark defines how much longer than the gold an answer is; a verdict is JSON with a sentence of
# reasons; a reasoning model thinks before each.
_VERDICT = 45
_THOUGHTS = 400
# Prompt tokens besides the texts: the chat format's own, and what an output schema adds.
_PER_MESSAGE, _PER_CALL = 4, 3
_MEASURED_CONVERSATIONS, _MEASURED_QUESTIONS = 4, 12
_INGESTED_CONVERSATIONS = 12
_INGEST, _ANSWERS, _JUDGE = ("router", "extractor", "embedder"), ("reader",), ("judge",)


@dataclass
class Use:
    """Calls and tokens of one role. `longest_tokens`: of the completions, if each were as long as its call allows."""

    calls: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    longest_tokens: float = 0

    def add(self, prompt: float, completion: float, longest: float, calls: float = 1) -> None:
        self.calls += calls
        self.prompt_tokens += prompt * calls
        self.completion_tokens += completion * calls
        self.longest_tokens += max(completion, longest) * calls

    def scaled(self, by: float) -> Use:
        return Use(*(by * amount for amount in astuple(self)))


@dataclass
class Line:
    """One backend, or the judge probe: questions, mean context tokens, and what each role uses."""

    label: str
    questions: int
    context_tokens: float
    uses: dict[str, Use] = field(default_factory=lambda: defaultdict(Use))

    def tokens(self, kind: str) -> float:
        """The sum of `prompt_tokens` or `completion_tokens` over the roles."""
        return float(sum(getattr(use, kind) for use in self.uses.values()))


async def estimate(plan: Plan) -> list[Line]:
    """One line per backend, in the plan's order, and one for the judge probe if it is on. Calls nobody.

    An ingest call that several memories make counts for the first: the others find it in the cache.
    """
    assert plan.memories is not None, "recorded answers have no estimate"
    counted: set[int] = set()
    estimators = [_Estimator(plan, plan.memories, label, b, counted) for label, b in plan.memories.backends.items()]
    lines = [await estimator.line() for estimator in estimators]
    if plan.settings.judge_probe and hasattr(plan.judge, "messages"):
        lines += _probe_lines(plan, estimators[0])
    return lines


def _probe_lines(plan: Plan, estimator: _Estimator) -> list[Line]:
    line = Line("(judge probe)", 0, 0.0)
    for probe in make_probes(questions_to_probe(plan.dataset, plan.chosen), seed=plan.settings.seed):
        line.questions += 1
        estimator.add_verdict(line, probe.question, probe.answer)
    return [line] if line.questions else []


# --- dollars ----------------------------------------------------------------------------------------------------


def dollars(plan: Plan, line: Line, roles: Collection[str] | None = None, *, longest: bool = False) -> float | None:
    """What the roles (default: all) of a line cost; None if one of the models has no price.

    `longest`: if each reply were as long as it may be.
    """
    total = 0.0
    for role, use in line.uses.items():
        if roles is None or role in roles:
            price = plan.clients.price(CLIENT_OF.get(role, cast(Role, role)))
            if price is None:
                return None
            total += price.cost(use.prompt_tokens, use.longest_tokens if longest else use.completion_tokens)
    return total


def estimate_table(plan: Plan, lines: Sequence[Line]) -> Table[Line]:
    def cost(roles: Collection[str]) -> Callable[[Line], float | None]:
        return lambda line: dollars(plan, line, roles)

    columns: list[Column[Line]] = [
        Column("memory", lambda line: line.label, str),
        Column("questions", lambda line: line.questions, "{:,}".format),
        Column("context", lambda line: line.context_tokens, "{:,.0f}".format),
        Column("prompt tokens", lambda line: line.tokens("prompt_tokens"), "{:,.0f}".format),
        Column("completion tokens", lambda line: line.tokens("completion_tokens"), "{:,.0f}".format),
        Column("$ ingest", cost(_INGEST), "{:.2f}".format),
        Column("$ answers", cost(_ANSWERS), "{:.2f}".format),
        Column("$ judge", cost(_JUDGE), "{:.2f}".format),
    ]
    return Table("Estimate", columns, lines)


def ingestion_table(plan: Plan, lines: Sequence[Line]) -> Table[Line] | None:
    """What each memory asks of models to ingest one conversation; None if none asks anything."""
    ingesting = [line for line in lines if any(role in line.uses for role in _INGEST)]
    if not ingesting:
        return None

    def each(kind: str) -> Callable[[Line], float]:
        return lambda line: (
            sum(getattr(line.uses[role], kind) for role in _INGEST if role in line.uses) / plan.conversations
        )

    def cost(line: Line) -> float | None:
        usd = dollars(plan, line, _INGEST)
        return None if usd is None else usd / plan.conversations

    columns: list[Column[Line]] = [
        Column("memory", lambda line: line.label, str),
        Column("calls", each("calls"), "{:,.0f}".format),
        Column("prompt tokens", each("prompt_tokens"), "{:,.0f}".format),
        Column("completion tokens", each("completion_tokens"), "{:,.0f}".format),
        Column("$", cost, "{:.4f}".format),
    ]
    return Table(
        "Ingestion, for each conversation (a call counts for the first memory that makes it)", columns, ingesting
    )


def cost_sentence(plan: Plan, lines: Sequence[Line]) -> str:
    """What the whole run would cost, in words."""
    if unknown := _without_estimate(plan):
        return f"The cost is unknown: {' and '.join(unknown)} may call a model any number of times."
    if not any(line.uses for line in lines):
        return "No model is called: the run costs nothing."
    total = most = 0.0
    for line in lines:
        usd, longest = dollars(plan, line), dollars(plan, line, longest=True)
        if usd is None or longest is None:
            return "The cost is unknown: a model has no price; name a file that has it with --prices."
        total, most = total + usd, most + longest
    limit = plan.settings.max_cost
    stop = "set a limit with --max-cost" if limit is None else f"it stops before it has cost more than ${limit:g}"
    return f"About {_usd(total)}; at most {_usd(most)}, if every reply is as long as it may be; {stop}."


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def _without_estimate(plan: Plan) -> list[str]:
    """The reader or judge of a third party that calls a model."""
    parts: list[Reader | Judge] = [plan.memories.reader, plan.judge] if plan.memories else [plan.judge]
    return [part.name for part in parts if getattr(part, "asks_model", False) and not hasattr(part, "messages")]


# --- one backend ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Estimator:
    plan: Plan
    memories: MemorySetup
    label: str
    backend: MemoryBackend
    counted: set[int]
    """Hashes of the ingest calls that are already in a line."""

    async def line(self) -> Line:
        plan = self.plan
        line = Line(self.label, len(plan.chosen), 0.0)
        has_llm_reader, has_llm_judge = (hasattr(role, "messages") for role in (self.memories.reader, plan.judge))
        measured = await self._measured() if self._is_free() else None
        contexts = 0.0
        for sample in plan.dataset.samples():
            questions = [question for question in sample.questions if question.id in plan.chosen]
            if not questions:
                continue
            context = measured if measured is not None else self._expected(sample)
            contexts += context * len(questions)
            for question in questions:
                if has_llm_reader:
                    prompt = context + self._reader_prompt(question)
                    line.uses["reader"].add(prompt, self._answer_tokens(question), self._longest_of("reader"))
                if has_llm_judge:
                    self.add_verdict(line, question, question.gold)
        line.context_tokens = contexts / max(line.questions, 1)
        self._add_ingestion(line)
        return line

    def add_verdict(self, line: Line, question: Question, answer: str) -> None:
        judge: Any = self.plan.judge
        prompt = self._prompt(judge.messages(question, answer), judge.schema(question))
        expected = _VERDICT + self._thoughts("judge")
        line.uses["judge"].add(prompt, expected, self._longest_of("judge"), self.plan.settings.judge_votes)

    def _longest_of(self, role: Literal["reader", "judge"]) -> int:
        """The most tokens of a reply, with room to think for a model that does."""
        part: Any = self.memories.reader if role == "reader" else self.plan.judge
        given: int | None = getattr(self.plan.settings, f"{role}_max_tokens")
        return (given or part.max_tokens) + self._room(role)

    def _is_free(self) -> bool:
        """Whether trying its retrieval costs nothing: it is a memory of this package, and calls no model."""
        ours = type(self.backend).__module__.startswith("engram_eval.") and not isinstance(self.backend, RemoteBackend)
        info = backend_info(self.backend)
        return ours and not info.asks_model and info.context_limit != "window"

    async def _measured(self) -> float:
        """Mean context tokens over some of the questions."""
        tokens: list[int] = []
        local = isinstance(self.memories.embedder, CachedEmbedder)
        embedder = self.memories.embedder if local else StaticEmbedder()  # whose vectors fill a budget as well as any
        with TemporaryDirectory() as folder:
            for i, (sample, questions) in enumerate(islice(self._samples(), _MEASURED_CONVERSATIONS)):
                state = Path(folder) / str(i)
                state.mkdir()
                services = Services(embedder, self.plan.tokens, state)
                memory = await awaited(self.backend.open(sample.conversation.info, services))
                for session in sample.conversation.sessions:
                    await awaited(memory.ingest(session))
                if hasattr(memory, "ready"):
                    await awaited(memory.ready())
                for question in questions[:: max(1, len(questions) // _MEASURED_QUESTIONS)]:
                    if backend_info(self.backend).sees_evidence:
                        memory.show_evidence(question.evidence)
                    budget = self.memories.budget if backend_info(self.backend).context_limit == "budget" else None
                    context = await awaited(memory.retrieve(question.text, asked_at=question.asked_at, budget=budget))
                    assert isinstance(context, Context)  # as every memory of this package returns
                    tokens.append(self.plan.tokens.count(context.text))
                await awaited(memory.close())
        return sum(tokens) / max(len(tokens), 1)

    def _expected(self, sample: Sample) -> float:
        """What the backend itself expects of its contexts, else the longest possible one."""
        expected: Callable[[int], float] | None = getattr(self.backend, "expected_context_tokens", None)
        longest = self._longest(sample)
        return longest if expected is None else min(longest, expected(self.memories.budget))

    def _longest(self, sample: Sample) -> float:
        """The longest possible context: the whole history, or as much of it as the limit allows."""
        limits = {"budget": self.memories.budget, "window": self.memories.reader.window, "none": None}
        limit = limits[backend_info(self.backend).context_limit]
        turns = [turn for session in sample.conversation.sessions for turn in session.turns]
        history = self._count("\n".join(f"{turn.speaker}: {turn.text}" for turn in turns))
        return history if limit is None else min(history, limit)

    def _samples(self) -> Iterable[tuple[Sample, list[Question]]]:
        """The samples with chosen questions, and these questions."""
        for sample in self.plan.dataset.samples():
            if questions := [question for question in sample.questions if question.id in self.plan.chosen]:
                yield sample, questions

    def _add_ingestion(self, line: Line) -> None:
        expected: Callable[..., Iterable[Any]] | None = getattr(self.backend, "expected_calls", None)
        if expected is None:
            return
        uses: dict[str, Use] = defaultdict(Use)
        conversations = 0
        for sample, _ in islice(self._samples(), _INGESTED_CONVERSATIONS):
            conversations += 1
            for session in sample.conversation.sessions:
                for call in expected(session, self._count):
                    if call.role == "embedder" and isinstance(self.memories.embedder, CachedEmbedder):
                        continue
                    call_hash = hash((call.role, *(message["content"] for message in call.messages)))
                    if call_hash not in self.counted:
                        self.counted.add(call_hash)
                        thoughts = self._thoughts("router") if call.schema else 0
                        longest = self.plan.settings.router_max_tokens or call.max_tokens
                        uses[call.role].add(
                            self._prompt(call.messages, call.schema),
                            call.completion_tokens + thoughts,
                            longest + self._room("router") if longest else 0,
                        )
        for role, use in uses.items():
            line.uses[role] = use.scaled(self.plan.conversations / conversations)

    def _reader_prompt(self, question: Question) -> int:
        """The tokens of the prompt without the context."""
        reader: Any = self.memories.reader
        return self._prompt(reader.messages(question.text, asked_at=question.asked_at, context=Context(".")))

    def _answer_tokens(self, question: Question) -> int:
        beyond = self.plan.dataset.benchmark.answer_tokens_beyond_gold
        return self._count(question.gold) + beyond + self._thoughts("reader")

    def _thoughts(self, role: Role) -> int:
        return _THOUGHTS if self._room(role) else 0

    def _room(self, role: Role) -> int:
        """The tokens that a reasoning model may think, besides its answer."""
        from engram_eval.llm.provider_capabilities import first_capabilities

        return first_capabilities(self.plan.clients.model(role)).room

    def _prompt(self, messages: Iterable[Mapping[str, str]], schema: Mapping[str, Any] | None = None) -> int:
        texts = [message["content"] for message in messages]
        schema_tokens = self._count(json.dumps(schema)) if schema else 0
        return sum(map(self._count, texts)) + _PER_MESSAGE * len(texts) + _PER_CALL + schema_tokens

    def _count(self, text: str) -> int:
        return self.plan.tokens.count(text)
