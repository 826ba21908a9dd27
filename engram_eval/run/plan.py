"""From settings to a plan: everything is opened and chosen, with the reason for each choice, before anything is run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from engram_eval import registry
from engram_eval.backends.backend import MemoryBackend, backend_info
from engram_eval.backends.remote.memory import RemoteBackend
from engram_eval.datasets.dataset import Dataset, Notes
from engram_eval.embedders.api import LLMEmbedder
from engram_eval.embedders.embedder import Embedder
from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.language.tokens import TokenCounter, encoding_of, token_counter, tokens_in_words
from engram_eval.llm.cost.metering import MeteredLLM
from engram_eval.llm.endpoint import is_loopback
from engram_eval.llm.model_names import shown_model
from engram_eval.metrics.copied_golds import copied_golds_warning, repeats_gold
from engram_eval.readers.reader import Reader
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import (
    RECORDED,
    BackendEntry,
    DatasetInfo,
    EmbedderInfo,
    Experiment,
    JudgeInfo,
    ModelInfo,
    ReaderInfo,
)
from engram_eval.run.answer_file import Answers
from engram_eval.run.answer_source import AnswerSource
from engram_eval.run.defaults import models_in_environment, resolve_defaults
from engram_eval.run.extensions import Extensions, Opener
from engram_eval.run.memory_answers import MemoryAnswers
from engram_eval.run.models import MAX_IN_FLIGHT, ModelClients, Role, endpoint_of
from engram_eval.run.questions import choose_questions, chosen_categories, open_dataset
from engram_eval.run.recorded_answers import RecordedAnswers
from engram_eval.run.servers import Servers
from engram_eval.run.settings import Settings
from engram_eval.run.stored_answers import StoredAnswers
from engram_eval.tables.text import plural
from engram_eval.types import Question


@dataclass(frozen=True, slots=True)
class EarlierWork:
    """What a resumed run has done. `started`: when it began, in seconds since 1970."""

    spent_usd: float
    started: float | None


@dataclass(frozen=True, slots=True)
class MemorySetup:
    """What the memories of a run share. `budget`: the context tokens that bind each of them."""

    backends: Mapping[str, MemoryBackend]
    reader: Reader
    embedder: Embedder
    llm: MeteredLLM | None
    """The model that memories call; None if none of them calls one."""
    budget: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, ready to start. `chosen`: ids of the questions to ask. `sources`: by the backend's label."""

    settings: Settings
    dataset: Dataset
    chosen: frozenset[str]
    conversations: int
    sources: Mapping[str, AnswerSource]
    memories: MemorySetup | None
    """None for answers made elsewhere."""
    judge: Judge
    clients: ModelClients
    tokens: TokenCounter
    experiment: Experiment
    calls_in_flight: int
    """How many answers and verdicts may overlap."""
    why: Mapping[str, str]
    """What was chosen and why, in words, to be shown before the run."""
    ingests_ahead: bool = False
    """Whether memories that ask a model ingest several conversations at the same time."""
    missing: tuple[str, ...] = ()
    """Ids of chosen questions that have no recorded answer."""

    @property
    def calls_models(self) -> bool:
        return bool(self.clients.in_use())


@dataclass(frozen=True, slots=True)
class _Data:
    """The chosen part of a dataset."""

    dataset: Dataset
    why: str
    questions: Mapping[str, str]
    """The conversation of each chosen question, by their ids."""
    categories: tuple[str, ...]
    notes: Notes
    """The oddities of the whole dataset."""

    @property
    def conversations(self) -> int:
        return len(set(self.questions.values()))

    def in_words(self) -> str:
        size = f"{plural(self.conversations, 'conversation')}, {plural(len(self.questions), 'question')}"
        return f"{self.dataset.benchmark.name}, {size}: {self.why}"

    def oddities(self) -> dict[str, str]:
        """What of the data a person should look at, in one line, and what was skipped; nothing for data without such."""
        lines = {}
        if self.notes.doubtful:
            lines["oddities"] = f"{self.notes.in_one_line()} ('engram-eval datasets check' lists them)"
        if faults := self.notes.faults:
            lines["SKIPPED"] = f"{plural(len(faults), 'record')} that cannot be read, the first: {faults[0]}"
        return lines

    def info(self) -> DatasetInfo:
        benchmark = self.dataset.benchmark
        headline = tuple(category for category in benchmark.headline if category in self.categories)
        return DatasetInfo(
            name=benchmark.name,
            sha256=self.dataset.sha256,
            origin=self.dataset.origin,
            categories=self.categories,
            headline=headline or self.categories,
            questions=len(self.questions),
            conversations=self.conversations,
            skipped_records=len(self.notes.faults),
            tables=tuple(sorted(benchmark.tables)),
            category_mean=benchmark.category_mean,
        )


def _open_data(settings: Settings) -> _Data:
    dataset, why = open_dataset(settings)
    notes = Notes()
    questions = choose_questions(dataset, settings, notes)
    return _Data(dataset, why, questions, chosen_categories(dataset, settings), notes)


def reader_tokens(settings: Settings) -> TokenCounter:
    """Counts tokens as `--encoding` says, else as the reader's model does; as the default model does where that is unknown."""
    if settings.encoding:
        return token_counter(settings.encoding)
    model = settings.reader_model or settings.model
    if settings.reader != "offline" and model and (encoding := encoding_of(model)):
        with suppress(UserError):  # an old encoding that would have to be downloaded
            return token_counter(encoding)
    return token_counter()


# --- memories ---------------------------------------------------------------------------------------------------


def plan_run(
    settings: Settings, extensions: Extensions | None = None, *, earlier: EarlierWork | None = None, dry: bool = False
) -> Plan:
    """Opens and checks everything that the settings name. Raises UserError before any question is asked.

    `earlier`: what the run did before it was resumed. `dry`: the plan is only shown, not executed.
    """
    extensions = extensions or Extensions()
    given, opener = settings, Opener(settings, extensions)
    backends = opener.backends()
    opener.refuse_unknown_options()
    settings = opener.settings
    memories_ask = any(backend_info(backend).asks_model for backend in backends.values())
    settings = resolve_defaults(settings, roles_ask=opener.roles_ask(reader=True), memories_ask=memories_ask)
    opener = Opener(settings, extensions)
    reader_asks = settings.reader.partition(":")[0] == "llm" or opener.asks_model("readers")
    servers = Servers(settings)
    if settings.window is None and reader_asks:
        settings = settings.replace(window=servers.fitting_window())
    tokens = reader_tokens(settings)
    data = _open_data(settings)
    benchmark = data.dataset.benchmark
    clients = _clients(settings, earlier)
    reader = opener.reader(clients.services("reader", benchmark, tokens))
    judge = opener.judge(clients.services("judge", benchmark, tokens))
    _open_clients(clients, opener, reader=True)
    memory_llm = clients.memory_llm() if memories_ask else None
    embedder = extensions.embedder or clients.embedder(dry=dry)
    setup = MemorySetup(backends, reader, embedder, memory_llm, settings.budget or benchmark.budget)
    return Plan(
        settings=settings,
        dataset=data.dataset,
        chosen=frozenset(data.questions),
        conversations=data.conversations,
        sources={
            label: MemoryAnswers(backend, reader, embedder, tokens, memory_llm, setup.budget, settings.memory_timeout)
            for label, backend in backends.items()
        },
        memories=setup,
        judge=judge,
        clients=clients,
        tokens=tokens,
        experiment=_memory_experiment(settings, data, setup, judge, clients, tokens),
        calls_in_flight=_in_flight(settings) if _roles_ask(settings, opener, reader=True) else 1,
        ingests_ahead=memories_ask and _answers_many(settings),
        why={**_why_memories(given, data, setup, judge, clients, tokens), **_doubts(servers, given, clients)},
    )


def _memory_experiment(
    settings: Settings, data: _Data, setup: MemorySetup, judge: Judge, clients: ModelClients, tokens: TokenCounter
) -> Experiment:
    prompted = (setup.reader, judge, *setup.backends.values())
    return Experiment(
        settings=settings.to_json(),
        dataset=data.info(),
        backends={
            label: BackendEntry(
                backend=registry.base_name("backends", settings.backend_of(label)),
                **_settings_and_told(backend),
                **asdict(backend_info(backend)),
            )
            for label, backend in setup.backends.items()
        },
        reader=ReaderInfo(
            name=setup.reader.name,
            model=shown_model(setup.reader.model),
            window=setup.reader.window,
            prompt_file=getattr(setup.reader, "prompt_file", None),
        ),
        judge=_judge_info(judge, settings),
        models=_models_info(clients),
        embedder=EmbedderInfo(name=setup.embedder.name, dimensions=setup.embedder.dimensions),
        seed=settings.seed,
        token_encoding=tokens.encoding,
        budget=setup.budget,
        prompts={prompt.name: prompt.sha256 for part in prompted for prompt in getattr(part, "prompts", ())},
    )


def _settings_and_told(backend: MemoryBackend) -> dict[str, Any]:
    if isinstance(backend, RemoteBackend):
        return {"settings": dict(backend.settings), "told": backend.info.model_dump(mode="json")}
    return {"settings": registry.settings_of(backend)}


_UNBOUND = {"window": "is limited only by the reader's window of {:,} tokens", "none": "has no limit"}


def _why_memories(
    given: Settings, data: _Data, setup: MemorySetup, judge: Judge, clients: ModelClients, tokens: TokenCounter
) -> dict[str, str]:
    benchmark, embedder = data.dataset.benchmark, setup.embedder
    reader = _role_in_words(setup.reader, "extracts its answers from the context", clients, "reader", given.reader)
    place = f"at {clients.endpoint('embedder')}" if isinstance(embedder, LLMEmbedder) else "on this machine"
    reader_model = clients.in_use()["reader"]["model"] if "reader" in clients.in_use() else None
    counted = tokens_in_words(tokens.encoding, reader_model, chosen=given.encoding is not None)
    why_budget = "set by --budget" if given.budget else benchmark.budget_reason
    unbound = [
        f"{label} {_UNBOUND[limit].format(setup.reader.window)}"
        for label, backend in setup.backends.items()
        if (limit := backend_info(backend).context_limit) in _UNBOUND
    ]
    embedders = {
        published: label
        for label, backend in setup.backends.items()
        if (published := getattr(backend, "published_embedder", None)) not in (None, embedder.name)
    }
    other_embedders = [f"{label} was published with --embedder {published}" for published, label in embedders.items()]
    controls = "; none and oracle are the floor and the ceiling" if given.controls else ""
    return {
        "dataset": data.in_words(),
        **data.oddities(),
        "backends": ", ".join(setup.backends) + controls,
        **_elsewhere(setup.backends),
        "reader": reader,
        "judge": _role_in_words(judge, judge.agreement, clients, "judge", given.judge),
        **({"router": f"llm: {clients.name_of('router')}"} if setup.llm else {}),
        "embedder": "; ".join([f"{embedder.name}, {embedder.dimensions or '?'} dimensions, {place}", *other_embedders]),
        "budget": "; ".join([f"{setup.budget:,} {counted}, {why_budget}", *unbound]),
    }


def _elsewhere(backends: Mapping[str, MemoryBackend]) -> dict[str, str]:
    """Where memories elsewhere are, and what they say of themselves."""
    places = [
        f"{label} is {backend.door.address}" + (f", version {backend.info.version}" if backend.info.version else "")
        for label, backend in backends.items()
        if isinstance(backend, RemoteBackend)
    ]
    return {"elsewhere": "; ".join(places)} if places else {}


# --- answers made elsewhere -------------------------------------------------------------------------------------


def plan_grading(
    settings: Settings,
    answers: Answers,
    label: str,
    extensions: Extensions | None = None,
    *,
    earlier: EarlierWork | None = None,
) -> Plan:
    """Like `plan_run`, for recorded answers; `label` is the name of their backend in the records."""
    extensions = extensions or Extensions()
    given, opener = settings, Opener(settings, extensions)
    settings = resolve_defaults(settings, roles_ask=opener.roles_ask(reader=False))
    opener = Opener(settings, extensions)
    tokens = reader_tokens(settings)
    data = _open_data(settings)
    questions = {question.id: question for sample in data.dataset.samples() for question in sample.questions}
    _refuse_unknown_questions(answers, questions, data.dataset)
    clients = _clients(settings, earlier)
    judge = opener.judge(clients.services("judge", data.dataset.benchmark, tokens))
    _open_clients(clients, opener, reader=False)
    missing = tuple(question_id for question_id in data.questions if question_id not in answers.by_id)
    return Plan(
        settings=settings,
        dataset=data.dataset,
        chosen=frozenset(data.questions),
        conversations=data.conversations,
        sources={label: RecordedAnswers(answers, tokens)},
        memories=None,
        judge=judge,
        clients=clients,
        tokens=tokens,
        experiment=Experiment(
            settings=settings.to_json(),
            dataset=data.info(),
            backends={label: BackendEntry(context_limit="unknown")},
            reader=ReaderInfo(name=RECORDED, model="unknown", sha256=answers.sha256, origin=_absolute(answers)),
            judge=_judge_info(judge, settings),
            models=_models_info(clients),
            embedder=EmbedderInfo(name=None, dimensions=None),
            seed=settings.seed,
            token_encoding=tokens.encoding,
            budget=None,
            prompts={prompt.name: prompt.sha256 for prompt in getattr(judge, "prompts", ())},
        ),
        calls_in_flight=_in_flight(settings) if _roles_ask(settings, opener, reader=False) else 1,
        why={
            "dataset": data.in_words(),
            **data.oddities(),
            "answers": "; ".join([_coverage(answers, data, missing), *answers.ignored]),
            "judge": _role_in_words(judge, judge.agreement, clients, "judge", given.judge),
            **_doubts(Servers(settings), given, clients),
            **_copied_golds(answers, [question for id_, question in questions.items() if id_ in data.questions]),
        },
        missing=missing,
    )


def _copied_golds(answers: Answers, questions: Sequence[Question]) -> dict[str, str]:
    """A warning before anything is judged, or paid for, if the answers are the golds."""
    answered = [q for q in questions if q.id in answers.by_id and not q.unanswerable]
    copied = sum(repeats_gold(answers.by_id[question.id].text, question.gold) for question in answered)
    warning = copied_golds_warning(copied, len(answered))
    return {"WARNING": warning} if warning else {}


def _refuse_unknown_questions(answers: Answers, known: Collection[str], dataset: Dataset) -> None:
    unknown = [question_id for question_id in answers.by_id if question_id not in known]
    if unknown:
        more = f", nor {plural(len(unknown) - 1, 'other')} of the answers" if len(unknown) > 1 else ""
        line = answers.by_id[unknown[0]].line
        place = f"{answers.origin}: line {line}" if line else answers.origin
        raise UserError(
            f"{place}: {dataset.benchmark.name} has no question {unknown[0][:80]!r}{more}; name the dataset that was answered "
            "with --dataset, or its file with --data"
        )


def _coverage(answers: Answers, data: _Data, missing: tuple[str, ...]) -> str:
    answered = len(data.questions) - len(missing)
    parts = [f"{answered:,} of {plural(len(data.questions), 'question')} answered in {answers.origin}"]
    if missing:
        named = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        parts.append(f"no answer to {len(missing):,} ({named}): recorded as errors, not as wrong")
    if others := len(answers.by_id) - answered:
        parts.append(f"{plural(others, 'answer')} to questions of other categories ignored")
    return "; ".join(parts)


def _absolute(answers: Answers) -> str | None:
    return str(answers.path.absolute()) if answers.path else None


# --- stored answers ---------------------------------------------------------------------------------------------


def plan_rejudging(
    settings: Settings,
    run: RunFolder,
    answers: Mapping[str, StoredAnswers],
    extensions: Extensions | None = None,
    *,
    earlier: EarlierWork | None = None,
) -> Plan:
    """Like `plan_run`, for the answers that a run has on disk, by backend. Only the judge that `settings` name is opened."""
    manifest, extensions = run.manifest(), extensions or Extensions()
    # The run's reader is not asked, so a model that is named for the judge need not be found for it.
    given = settings.replace(reader="offline", reader_prompt=None, model=settings.model or settings.judge_model)
    opener = Opener(given, extensions)
    judging = resolve_defaults(given, roles_ask=opener.roles_ask(reader=False))
    opener, tokens, data = Opener(judging, extensions), reader_tokens(settings), _open_data(judging)
    if data.dataset.sha256 != manifest.dataset.sha256:
        raise UserError(
            f"{run.path}: was run on other data than {data.dataset.origin}; name the file that it was run on with --data"
        )
    clients = _clients(judging, earlier)
    judge = opener.judge(clients.services("judge", data.dataset.benchmark, tokens))
    _open_clients(clients, opener, reader=False)
    resolved = judging.replace(reader=settings.reader, reader_prompt=settings.reader_prompt)
    models = {role: model for role, model in manifest.models.items() if role != "judge"}
    prompts = {name: sha for name, sha in manifest.prompts.items() if not name.startswith("judge_")}
    experiment = Experiment(**{name: getattr(manifest, name) for name in Experiment.model_fields}).model_copy(
        update={
            "settings": resolved.to_json(),
            "judge": _judge_info(judge, judging),
            "models": models | _models_info(clients),
            "prompts": prompts | {prompt.name: prompt.sha256 for prompt in getattr(judge, "prompts", ())},
            "rejudged_from": str(run.path.absolute()),
        }
    )
    return Plan(
        settings=judging,
        dataset=data.dataset,
        chosen=frozenset(data.questions),
        conversations=data.conversations,
        sources=answers,
        memories=None,
        judge=judge,
        clients=clients,
        tokens=tokens,
        experiment=experiment,
        calls_in_flight=_in_flight(judging) if _roles_ask(judging, opener, reader=False) else 1,
        why={
            "judge": _role_in_words(judge, judge.agreement, clients, "judge", given.judge),
            **_doubts(Servers(judging), given, clients),
        },
    )


# --- all of them -------------------------------------------------------------------------------------------------------


def _clients(settings: Settings, earlier: EarlierWork | None) -> ModelClients:
    return (
        ModelClients(settings, spent_usd=earlier.spent_usd, started=earlier.started)
        if earlier
        else ModelClients(settings)
    )


def _roles_ask(settings: Settings, opener: Opener, *, reader: bool) -> bool:
    """Whether the reader or the judge calls a model, so that calls should overlap."""
    return opener.roles_ask(reader=reader) or (settings.judge_is_llm() or (reader and settings.reader_is_llm()))


def _answers_many(settings: Settings) -> bool:
    """Whether the memories' model is asked several things at a time. A server on this machine may answer one by one."""
    host = urlsplit(endpoint_of(settings, "router")).hostname or ""
    return settings.max_in_flight != 1 and (settings.max_in_flight is not None or not is_loopback(host))


def _in_flight(settings: Settings) -> int:
    """How many questions may wait for a model; its client decides how many of them are sent."""
    return settings.max_in_flight or MAX_IN_FLIGHT


def _open_clients(clients: ModelClients, opener: Opener, *, reader: bool) -> None:
    """Opens the models of readers and judges that call one, so that the manifest names them and a missing key stops here."""
    if reader and opener.asks_model("readers"):
        clients.llm("reader")
    if opener.asks_model("judges"):
        clients.llm("judge")


def _doubts(servers: Servers, given: Settings, clients: ModelClients) -> dict[str, str]:
    """What the servers say that does not fit the settings, before anything is paid for."""
    warnings = list(servers.warnings(clients.in_use(), window=given.window))
    return {"SERVER": "; ".join(warnings)} if warnings else {}


def _judge_info(judge: Judge, settings: Settings) -> JudgeInfo:
    model = getattr(judge, "model", judge.name)
    return JudgeInfo(
        name=judge.name,
        model=shown_model(model),
        votes=settings.judge_votes,
        agreement=judge.agreement,
        prompt_file=getattr(judge, "prompt_file", None),
    )


def _models_info(clients: ModelClients) -> dict[str, ModelInfo]:
    return {role: ModelInfo(model=m["model"], endpoint=m["endpoint"]) for role, m in clients.in_use().items()}


def _role_in_words(part: Reader | Judge, description: str, clients: ModelClients, role: Role, given: str) -> str:
    if part.name == "offline":
        return f"offline: {description}; no key, no network, deterministic"
    if part.name.partition(":")[0] == "llm" or getattr(part, "asks_model", False):
        reason = f", because {models_in_environment()}" if given == "auto" and models_in_environment() else ""
        file: str | None = getattr(part, "prompt_file", None)
        return f"{part.name}: {clients.name_of(role)}{reason}" + (f", with your own prompt in {file}" if file else "")
    return f"{part.name}: {description}" if role == "judge" and description else part.name
