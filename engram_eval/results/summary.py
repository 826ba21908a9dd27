"""A summary: all figures of a run. It can be rebuilt from the records and the manifest at any time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from engram_eval.results.manifest import DatasetInfo, JudgeInfo, ReaderInfo
from engram_eval.results.stored import Interval, Stored, Text, check_format


class Spread(Stored):
    """A measure's mean, median and 95th percentile over questions; None if it is known for no question."""

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None


class Total(Stored):
    total: float | None = None


class UnanswerableScores(Stored):
    n: int
    accuracy: float | None


class Scores(Stored):
    """Figures over a set of questions, of which `answered` have an answer and `errors` ended in an error.

    The measures (engram_eval/metrics/measures.py) are further fields: a measure's mean under its name, its 95 % interval
    under `NAME_ci`, or a `Spread` under its name. Read them with `mean`, `interval` and `spread`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | Interval | Spread | None]

    n: int
    answered: int
    errors: int
    unanswerable: UnanswerableScores

    def mean(self, measure: str) -> float | None:
        value = self.__pydantic_extra__.get(measure)
        if isinstance(value, Spread):
            return value.mean
        return value if isinstance(value, float | int) else None

    def interval(self, measure: str) -> Interval | None:
        value = self.__pydantic_extra__.get(f"{measure}_ci")
        return value if isinstance(value, tuple) else None

    def spread(self, measure: str) -> Spread:
        value = self.__pydantic_extra__.get(measure)
        return value if isinstance(value, Spread) else Spread()


class VoteSummary(Stored):
    """Accuracy by the first, the second … verdict on each answer, and the share of answers on which they differ.

    A pass of the judge is one verdict on every answer: `mean` and `sd` (with n - 1) are over the accuracies of the passes.
    """

    accuracy: tuple[float, ...]
    mean: float
    sd: float
    split: float


class BreakEven(Stored):
    """From which question about a conversation a memory costs less than the full history; None: never."""

    question: int | None


class BackendSummary(Scores):
    """A backend's figures over the headline categories; `by_category` has each category's own.

    - `errors` counts those of all categories; `expected`: the questions that the run asks.
    - `names_turns`: whether any context names the turns it holds. `truncated`, `cut`: in how many contexts (see `Record`).
    - `category_mean`: the mean of the headline categories' accuracies, if the benchmark's accuracy is quoted so too.
    - `unspaced_questions`: how many, of all categories, are in a writing system without spaces between words.
    - `answers_that_repeat_gold`: how many answers to answerable questions equal their golds word for word, of
      `answerable_answers`, over all categories.
    - `reasoning_removed`: from how many answers, of all categories; `answers_from_server_cache`: for how many the server had
      at least half of the prompt in its own cache; `contended`: how many retrievals waited beside other work.
    - US dollars, as if nothing had been cached, None if a price is unknown: `cost_usd` = ingestion + answers; judging is
      separate. `cost_per_correct_usd` divides by the right answers.
    - `failure_stages`: wrong answers by the stage at which they were lost.
    - `without_label_errors`: the scores without questions whose answer key is known to be wrong, if that was asked for.
    """

    context_limit: Literal["budget", "window", "none", "unknown"]
    control: bool
    sees_evidence: bool
    paraphrases: bool
    expected: int
    by_category: dict[Text, Scores]
    names_turns: bool
    truncated: int
    cut: int
    category_mean: float | None = None
    unspaced_questions: int = 0
    answers_that_repeat_gold: int = 0
    answerable_answers: int = 0
    reasoning_removed: int = 0
    answers_from_server_cache: int = 0
    contended: int = 0
    ingest_s: Total
    ingest_warnings: int
    cost_usd: float | None
    ingest_cost_usd: float | None
    answer_cost_usd: float | None
    judge_cost_usd: float | None
    cost_per_correct_usd: float | None
    cost_per_question_usd: float | None
    cost_per_conversation_usd: float | None
    cheaper_than_full_history: BreakEven | None = None
    votes: VoteSummary | None
    failure_stages: dict[str, int]
    without_label_errors: Scores | None = None

    @property
    def is_memory(self) -> bool:
        """Whether it competes: controls are there to be compared with."""
        return not self.control and not self.sees_evidence

    @property
    def accuracy_bounds(self) -> Interval | None:
        """Accuracy if every errored answer were wrong, and if it were right; None without errors."""
        missing = self.n - self.answered
        if not missing:
            return None
        right = self.answered * (self.mean("accuracy") or 0.0)
        return right / self.n, (right + missing) / self.n


class Summary(Stored):
    """`summary.json`. `complete`: every question of every backend has a record."""

    format: Annotated[int, AfterValidator(check_format)]
    backends: dict[Text, BackendSummary]
    dataset: DatasetInfo
    reader: ReaderInfo
    judge: JudgeInfo
    complete: bool
