"""From settings to a plan: everything opened and chosen, with the reason for each choice, before anything is run."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from engram_eval import registry
from engram_eval.backends.backend import MemoryBackend, backend_info
from engram_eval.datasets import catalogue
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.datasets.dataset import Dataset
from engram_eval.embedders.api import LLMEmbedder
from engram_eval.embedders.embedder import Embedder
from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.language.tokens import TokenCounter, token_counter
from engram_eval.llm.cost.metering import MeteredLLM
from engram_eval.readers.reader import Reader
from engram_eval.results.manifest import (
    BackendEntry,
    DatasetInfo,
    EmbedderInfo,
    Experiment,
    JudgeInfo,
    ModelInfo,
    ReaderInfo,
)
from engram_eval.run.models import ModelClients, Role, resolve_defaults, why_models
from engram_eval.run.settings import Settings
from engram_eval.tables.text import plural


@dataclass(frozen=True)
class Plan:
    """A run, ready to go. `chosen` holds the ids of the questions that are asked; `budget` binds every memory."""

    settings: Settings
    dataset: Dataset
    chosen: frozenset[str]
    conversations: int
    backends: dict[str, MemoryBackend]
    reader: Reader
    judge: Judge
    roles: ModelClients
    memory_llm: MeteredLLM | None
    """What memories ask; None if none of them does."""
    embedder: Embedder
    tokens: TokenCounter
    budget: int
    why: dict[str, str]
    """What was chosen and why, in words, for the lines that stand before a run."""


def make_plan(settings: Settings, *, spent_usd: float = 0.0, dry: bool = False) -> Plan:
    """Opens and checks all that the settings name. Raises UserError before anything is asked.

    `spent_usd`: what the run has cost before it was resumed. `dry`: the plan is to be looked at, not executed.
    """
    backends = {label: _open(settings, label) for label in settings.labels()}
    memories_ask = any(backend_info(backend).asks_model for backend in backends.values())
    given, settings = settings, resolve_defaults(settings, memories_ask=memories_ask)
    tokens = token_counter(settings.encoding)
    known = {settings.backend_of(label).partition(":")[0] for label in backends} | {"dataset"}
    for key in settings.options:
        if key.rpartition(".")[0] not in known:
            raise UserError(f"--set {key}: names none of {', '.join(sorted(known))}; as in --set engram.k=20")
    dataset, why_dataset = open_dataset(settings)
    benchmark = dataset.benchmark
    roles = ModelClients(settings, spent_usd=spent_usd)
    reader, judge = roles.reader(benchmark, tokens.count), roles.judge(benchmark)
    memory_llm = roles.memory_llm() if memories_ask else None
    embedder = roles.embedder(ask=not dry)
    where = f"at {roles.endpoint('embedder')}" if isinstance(embedder, LLMEmbedder) else "on this machine"
    chosen, conversations = _choose(dataset, settings)
    size = f"{plural(conversations, 'conversation')}, {plural(len(chosen), 'question')}"
    budget = settings.budget or benchmark.budget
    why_budget = "named with --budget" if settings.budget else benchmark.budget_reason
    unbound = [
        f"{label} by {_BOUND[backend_info(b).context_limit].format(reader.window)}"
        for label, b in backends.items()
        if backend_info(b).context_limit != "budget"
    ]
    return Plan(
        settings, dataset, chosen, conversations, backends, reader, judge, roles, memory_llm, embedder, tokens, budget,
        why={
            "dataset": f"{benchmark.name}, {size}: {why_dataset}",
            "backends": ", ".join(backends) + ("; none and oracle are the floor and the ceiling" if settings.controls else ""),
            "reader": _who(
                reader.name, "extracts its answers from the context", roles, "reader", auto=given.reader == "auto"
            ),
            "judge": _who(judge.name, judge.agreement, roles, "judge", auto=given.judge == "auto"),
            **({"router": f"llm: {roles.who('router')}"} if memory_llm else {}),
            "embedder": f"{embedder.name}, {embedder.dimensions or '?'} dimensions, {where}",
            "budget": "; ".join([f"{budget:,} tokens of {tokens.encoding}, {why_budget}", *(f"{u}" for u in unbound)]),
        },
    )  # fmt: skip


_BOUND = {"window": "the reader's window of {:,} tokens alone", "none": "nothing"}


def _who(name: str, what: str, roles: ModelClients, role: Role, *, auto: bool) -> str:
    if name == "offline":
        return f"offline: {what}; no key, no network, the same each time"
    if name.partition(":")[0] == "llm":
        return f"{name}: {roles.who(role)}" + (f", because {why_models()}" if auto else "")
    return name


def _open(settings: Settings, label: str) -> MemoryBackend:
    """The backend with what `--set` gives it under its name or its module, and over that a variant's own settings.

    `degraded` is engram with a part thrown away, so engram's settings are its own.
    """
    backend = settings.backend_of(label)
    name = backend.partition(":")[0]
    inherited = settings.options_of("engram") if name == "degraded" else {}
    own = {key: value for key, value in settings.variants.get(label, {}).items() if key != "backend"}
    try:
        opened: MemoryBackend = registry.open_backend(backend, {**inherited, **settings.options_of(name)}, own)
    except UserError as error:
        raise UserError(f"variant {label!r}: {error}" if label in settings.variants else str(error)) from error
    return opened


def named_benchmark(settings: Settings) -> tuple[Benchmark | None, Path | None]:
    """The benchmark that the settings name or that the file they name belongs to, and the file.

    Without `data`, the file is the one that ENGRAM_EVAL_DATA names. None for what neither names.
    """
    data = Path(settings.data).expanduser() if settings.data else None
    if settings.dataset != "auto":
        return catalogue.benchmark(settings.dataset), data
    variable = os.environ.get("ENGRAM_EVAL_DATA")
    if data is None and variable and Path(variable).expanduser().is_file():
        data = Path(variable).expanduser()
    return (catalogue.recognise(data), data) if data else (None, None)


def open_dataset(settings: Settings) -> tuple[Dataset, str]:
    """The dataset and why it is this one.

    `auto`: the benchmark that recognises the file named by `data` or ENGRAM_EVAL_DATA. If neither names a file, LoCoMo;
    if LoCoMo is not available, the synthetic dialogues, unless ENGRAM_EVAL_DATA is set: then UserError says why.
    """
    options = settings.options_of("dataset")
    benchmark, data = named_benchmark(settings)
    if benchmark:
        return _opened(benchmark, data, options)
    if options:
        dataset, why = _opened(catalogue.benchmark("synthetic"), None, options)
        return dataset, f"{why}, because --set dataset.… is for data that is made"
    try:
        return _opened(catalogue.benchmark("locomo"), None, options)
    except UserError as missing:
        if os.environ.get("ENGRAM_EVAL_DATA"):
            raise
        dataset, why = _opened(catalogue.benchmark("synthetic"), None, options)
        return dataset, f"{why}, because the real LoCoMo is not here: {missing}"


def _opened(benchmark: Benchmark, data: Path | None, options: dict[str, str]) -> tuple[Dataset, str]:
    try:
        dataset = benchmark.open(data, options)
    except UserError:
        raise
    except Exception as error:  # whatever somebody else's benchmark raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"dataset {benchmark.name!r} cannot be opened ({type(error).__name__}: {reason})") from error
    return dataset, dataset.origin


def _choose(dataset: Dataset, settings: Settings) -> tuple[frozenset[str], int]:
    """The questions to ask: of the categories named, all, or a simple random sample of `limit` under the seed."""
    wanted = categories_asked(dataset, settings)
    questions: dict[str, str] = {}
    for sample in dataset.samples():
        questions |= {q.id: sample.conversation.id for q in sample.questions if q.category in wanted}
    if not questions:
        raise UserError(f"{dataset.origin}: holds no question of the categories asked for ({', '.join(wanted)})")
    # By hash, so that the choice depends on no order and a larger limit keeps the smaller one's questions.
    ranked = sorted(
        questions, key=lambda question_id: hashlib.sha256(f"{settings.seed}:{question_id}".encode()).digest()
    )
    chosen = ranked[: settings.limit]
    return frozenset(chosen), len({questions[question_id] for question_id in chosen})


def categories_asked(dataset: Dataset, settings: Settings) -> tuple[str, ...]:
    if settings.categories is None:
        return dataset.benchmark.categories
    numbered = {str(i): name for i, name in enumerate(dataset.benchmark.categories, start=1)}
    wanted = tuple(numbered.get(name, name) for name in settings.categories)
    for name in wanted:
        if name not in dataset.benchmark.categories:
            known = ", ".join(f"{i} {category}" for i, category in numbered.items())
            raise UserError(f"--categories: {dataset.benchmark.name} has no category {name!r}; it has {known}")
    return wanted


def describe(plan: Plan) -> Experiment:
    """The experiment: two runs that agree in it are the same one."""
    categories = categories_asked(plan.dataset, plan.settings)
    headline = tuple(category for category in plan.dataset.benchmark.headline if category in categories)
    prompted = (plan.reader, plan.judge, *plan.backends.values())
    return Experiment(
        settings=plan.settings.to_json(),
        dataset=DatasetInfo(
            name=plan.dataset.benchmark.name,
            sha256=plan.dataset.sha256,
            origin=plan.dataset.origin,
            categories=categories,
            headline=headline or categories,
            questions=len(plan.chosen),
            conversations=plan.conversations,
            tables=tuple(sorted(plan.dataset.benchmark.tables)),
        ),
        backends={
            label: BackendEntry(
                backend=registry.backend_name(plan.settings.backend_of(label)),
                settings=registry.settings_of(backend),
                **asdict(backend_info(backend)),
            )
            for label, backend in plan.backends.items()
        },
        reader=ReaderInfo(name=plan.reader.name, model=plan.reader.model, window=plan.reader.window),
        judge=JudgeInfo(
            name=plan.judge.name,
            model=getattr(plan.judge, "model", plan.judge.name),
            votes=plan.settings.judge_votes,
            agreement=plan.judge.agreement,
        ),
        models={role: ModelInfo(**model) for role, model in plan.roles.described().items()},
        embedder=EmbedderInfo(name=plan.embedder.name, dimensions=plan.embedder.dimensions),
        seed=plan.settings.seed,
        token_encoding=plan.tokens.encoding,
        budget=plan.budget,
        prompts={prompt.name: prompt.sha256 for part in prompted for prompt in getattr(part, "prompts", ())},
    )
