"""From settings to a plan: everything opened and chosen, with the reason for each choice, before anything is run."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from engram_eval import registry
from engram_eval.backends.backend import MemoryBackend, backend_info
from engram_eval.datasets.dataset import Dataset, Family
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

# The budgets at which ENGRAM is published (arXiv 2511.12960): 916 tokens on LoCoMo, 1.0-1.2k on LongMemEval-S.
_BUDGETS = {"locomo": 916, "longmemeval": 1200}


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
    family: Family = "longmemeval" if "longmemeval" in dataset.name else "locomo"
    roles = ModelClients(settings, spent_usd=spent_usd)
    reader, judge = roles.reader(family, tokens.count), roles.judge(family)
    memory_llm = roles.memory_llm() if memories_ask else None
    embedder = roles.embedder(ask=not dry)
    where = f"at {roles.endpoint('embedder')}" if isinstance(embedder, LLMEmbedder) else "on this machine"
    chosen, conversations = _choose(dataset, settings)
    size = f"{plural(conversations, 'conversation')}, {plural(len(chosen), 'question')}"
    budget = settings.budget or _BUDGETS[family]
    why_budget = "named with --budget" if settings.budget else f"ENGRAM's published budget on {family}"
    unbound = [
        f"{label} by {_BOUND[backend_info(b).context_limit].format(reader.window)}"
        for label, b in backends.items()
        if backend_info(b).context_limit != "budget"
    ]
    return Plan(
        settings, dataset, chosen, conversations, backends, reader, judge, roles, memory_llm, embedder, tokens, budget,
        why={
            "dataset": f"{dataset.name}, {size}: {why_dataset}",
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


def open_dataset(settings: Settings) -> tuple[Dataset, str]:
    """The dataset and why it is this one.

    `auto` is the kind of file that `data`, or ENGRAM_EVAL_DATA, names; where neither names a file LoCoMo, and where
    LoCoMo cannot be had the synthetic dialogues, unless the user pointed at data: then the fault is told.
    """
    options = settings.options_of("dataset")
    variable = os.environ.get("ENGRAM_EVAL_DATA")
    if settings.dataset != "auto":
        return _opened(settings.dataset, Path(settings.data).expanduser() if settings.data else None, options)
    named = settings.data or (variable if variable and Path(variable).expanduser().is_file() else None)
    if named:
        data = Path(named).expanduser()
        return _opened(_kind_of_file(data), data, options)
    if options:
        dataset, why = _opened("synthetic", None, options)
        return dataset, f"{why}, because --set dataset.… is for data that is made"
    try:
        return _opened("locomo", None, options)
    except UserError as missing:
        if variable:
            raise
        dataset, why = _opened("synthetic", None, options)
        return dataset, f"{why}, because the real LoCoMo is not here: {missing}"


def _opened(name: str, data: Path | None, options: dict[str, str]) -> tuple[Dataset, str]:
    dataset: Dataset = registry.make("datasets", name, data, options)
    return dataset, dataset.origin


def _kind_of_file(path: Path) -> str:
    """LoCoMo or one of LongMemEval's files, by the first fields of the file; which of these, by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError:
        return "locomo"  # a folder of LoCoMo files; anything unreadable is told by the loader
    if b'"haystack_' not in head and b'"question_type"' not in head:
        return "locomo"
    known = re.search(r"longmemeval_(oracle|m)(?![a-z])", path.name)
    return f"longmemeval_{known[1]}" if known else "longmemeval_s"


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
        return dataset.categories
    numbered = {str(i): name for i, name in enumerate(dataset.categories, start=1)}
    wanted = tuple(numbered.get(name, name) for name in settings.categories)
    for name in wanted:
        if name not in dataset.categories:
            known = ", ".join(f"{i} {category}" for i, category in numbered.items())
            raise UserError(f"--categories: {dataset.name} has no category {name!r}; it has {known}")
    return wanted


def describe(plan: Plan) -> Experiment:
    """The experiment: two runs that agree in it are the same one."""
    categories = categories_asked(plan.dataset, plan.settings)
    headline = tuple(category for category in plan.dataset.headline if category in categories)
    prompted = (plan.reader, plan.judge, *plan.backends.values())
    return Experiment(
        settings=plan.settings.to_json(),
        dataset=DatasetInfo(
            name=plan.dataset.name,
            sha256=plan.dataset.sha256,
            origin=plan.dataset.origin,
            categories=categories,
            headline=headline or categories,
            questions=len(plan.chosen),
            conversations=plan.conversations,
            tables=("sessions",) if "longmemeval" in plan.dataset.name else (),
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
