"""A manifest: what a run is (its experiment) and where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue

from engram_eval.results.probe import ProbeSummary
from engram_eval.results.stored import FORMAT, Stored, Text, check_format

RECORDED = "recorded"
"""The reader's name in a run whose answers were made elsewhere."""


class DatasetInfo(Stored):
    """`questions` and `conversations` count those that the run asks, `skipped_records` what could not be read of the data.

    `tables`: extra result tables that the benchmark has. `category_mean`: whether its accuracy is quoted as the mean of its
    categories too.
    """

    name: Text
    sha256: str
    origin: Text
    categories: tuple[Text, ...]
    headline: tuple[Text, ...]
    questions: int
    conversations: int
    skipped_records: int = 0
    tables: tuple[str, ...] = ()
    category_mean: bool = False


class BackendEntry(Stored):
    """A backend of the run. `backend` is its registered name; a variant's label differs from it. `settings` are its own.

    Of a memory elsewhere, `backend` is its command or URL, and `told` what it says of itself.
    """

    backend: Text | None = None
    context_limit: Literal["budget", "window", "none", "unknown"] = "budget"
    control: bool = False
    sees_evidence: bool = False
    paraphrases: bool = False
    asks_model: bool = False
    settings: dict[Text, JsonValue] = Field(default_factory=dict)
    told: dict[Text, JsonValue] | None = None

    @property
    def is_memory(self) -> bool:
        """Whether it competes: controls are there to be compared with."""
        return not self.control and not self.sees_evidence


class ReaderInfo(Stored):
    """`window`: the longest context in tokens. `sha256` and `origin`: of the file, where the answers were made elsewhere.

    `prompt_file`: the name of the user's own prompt file; its hash is in `Experiment.prompts`.
    """

    name: Text
    model: Text
    window: int | None = None
    sha256: str | None = None
    origin: Text | None = None
    prompt_file: Text | None = None


class JudgeInfo(Stored):
    """`agreement`: how well the judge agrees with recorded verdicts, in words; empty if nobody measured it.

    `prompt_file`: as the reader's.
    """

    name: Text
    model: Text
    votes: int = 1
    agreement: Text = ""
    prompt_file: Text | None = None


class EmbedderInfo(Stored):
    name: Text | None
    dimensions: int | None


class ModelInfo(Stored):
    """`served`: the names of the models that answered, as the server tells them."""

    model: Text
    endpoint: Text
    served: tuple[Text, ...] = ()


class RoleUsage(Stored):
    """What a role's calls took, in US dollars and tokens.

    `cost_usd` counts cached answers too, `spent_usd` only what was paid; `unpriced` calls are in neither.
    """

    calls: float = 0
    cached: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    cost_usd: float = 0
    spent_usd: float = 0
    unpriced: float = 0

    def __add__(self, other: RoleUsage) -> RoleUsage:
        return RoleUsage(**{name: getattr(self, name) + getattr(other, name) for name in RoleUsage.model_fields})


class Experiment(Stored):
    """What is run. Two runs whose experiments agree, apart from where their data was found, may be compared and resumed."""

    settings: dict[str, JsonValue]
    dataset: DatasetInfo
    backends: dict[Text, BackendEntry]
    reader: ReaderInfo
    judge: JudgeInfo
    models: dict[str, ModelInfo] = Field(default_factory=dict)
    embedder: EmbedderInfo
    seed: int
    token_encoding: str
    budget: int | None
    prompts: dict[str, str] = Field(default_factory=dict)
    rejudged_from: Text | None = None
    """The run whose stored answers were judged again; None for a run that is none of that kind."""

    @property
    def has_recorded_answers(self) -> bool:
        """Whether the answers were made elsewhere: `judge --resume` finishes such a run, `run --resume` the others."""
        return self.reader.name == RECORDED


class Machine(Stored):
    python: str
    system: str
    processor: str


class Manifest(Experiment):
    """`manifest.json`. `finished` is None while a run is unfinished. `usage` is by role, over all processes of the run.

    `probe`: the result of the judge probe, None if the run had none.
    """

    format: Annotated[int, AfterValidator(check_format)]
    engram_eval: str
    git_commit: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    machine: Machine | None = None
    started: str | None = None
    finished: str | None = None
    usage: dict[str, RoleUsage] = Field(default_factory=dict)
    probe: ProbeSummary | None = None

    @classmethod
    def of(cls, experiment: Experiment, **provenance: Any) -> Manifest:
        return cls(format=FORMAT, **{name: getattr(experiment, name) for name in Experiment.model_fields}, **provenance)

    def with_served(self, served: Mapping[str, Collection[str]]) -> Manifest:
        """The manifest with what the servers of this process called the models of each role."""
        models = {
            role: info.model_copy(update={"served": tuple(sorted({*info.served, *served.get(role, ())}))})
            for role, info in self.models.items()
        }
        return self.model_copy(update={"models": models})

    def with_usage(self, usage: dict[str, RoleUsage], *, finished: str | None) -> Manifest:
        """The manifest after another process worked on the run."""
        roles = sorted({*self.usage, *usage})
        total = {role: self.usage.get(role, RoleUsage()) + usage.get(role, RoleUsage()) for role in roles}
        return self.model_copy(update={"usage": total, "finished": finished})
