"""Fit the offline judge to the recorded verdicts of an LLM judge, and measure how well the two agree.

    python benchmarks/fit_offline_judge.py VERDICTS.jsonl [--write]

Each line of VERDICTS.jsonl has conversation_id, question_id, category, question, gold, answer, system and correct (the
verdict). Systems whose name starts with "wrong on purpose" gave answers that are known to be wrong. To these are added
answers that are wrong by construction (engram_eval/judges/probe/adversarial.py).

The table has one row for each way to leave answers out of the fit:

- **fitted**: nothing is left out.
- **conversation left out**: nested. Features, weights, penalty and threshold are chosen on the other conversations only, by
  leaving out each of those in turn, and the model is fitted to the other conversations only.
- **conversation and system left out**: the model has not seen the answering system either.
- **conversation and kind left out**: for answers that are wrong on purpose or by construction, the model has not seen any of
  their kind.

With --write, the model fitted to all answers is written to engram_eval/judges/offline/parameters.json, with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.preprocessing import StandardScaler

from engram_eval.judges.offline.features import compare
from engram_eval.judges.offline.judge import PARAMETERS, OfflineJudge, decide_without_model
from engram_eval.judges.offline.readings import readings
from engram_eval.judges.probe.adversarial import FORMS, AdversarialAnswers, context_of
from engram_eval.language.words import content_stems
from engram_eval.types import Question

HONEST = "honest"
SPECIFIC = "wrong on purpose, specific"
VAGUE = "wrong on purpose, vague"
BORROWED = "borrowed"
NEAR_MISS = "near miss"

# Features of meaning and alignment. Whether they are used is chosen like everything else.
ALIGNMENT = (
    "recall", "soft_recall", "evidence", "nothing", "unsupported", "precision", "likeness", "short_replaced",
    "other_name", "other_date", "other_number",
)  # fmt: skip

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Example:
    """`type` is HONEST, SPECIFIC, VAGUE, BORROWED or an adversarial form; `kind` says more precisely what the answer is."""

    question: Question
    answer: str
    type: str
    kind: str
    verdict: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen: the features, the strength of the L2 penalty, and the weights of the answers that are wrong.

    The target for an honest answer (weight 1) is the LLM's verdict. All others are wrong, whatever the LLM says: it accepts
    most of the vague ones, and the judge should not learn that. A borrowed answer is an honest answer to a similar question.
    """

    alignment: bool
    inverse_penalty: float
    vague: float
    near_miss: float
    specific: float = 0.15
    borrowed: float = 0.3

    def weight(self, example: Example) -> float:
        """Other adversarial forms are decided by rule and not fitted. Of one changed word, an LLM often makes nothing."""
        weights = {HONEST: 1.0, SPECIFIC: self.specific, VAGUE: self.vague, BORROWED: self.borrowed}
        weights[NEAR_MISS] = 0.3 * self.near_miss if example.kind == "one other word" else self.near_miss
        return weights.get(example.type, 0.0)


GRID = [
    Settings(alignment, inverse_penalty, vague, near_miss)
    for alignment, inverse_penalty, vague, near_miss in product((False, True), (1.0,), (0.5, 0.6), (0.02, 0.05))
]
THRESHOLDS = np.arange(0.2, 0.61, 0.01)


def loss(measured: Figures) -> float:
    """What is minimised in each choice: the error on honest answers, plus what exceeds the aims for the rest.

    The aims are stricter than what the README promises, because a choice looks better on the data that it was made on.
    """
    return (
        1 - measured.accuracy
        + max(0.0, measured.specific - 0.06)
        + max(0.0, measured.vague - 0.09)
        + 0.5 * max(0.0, measured.worst_gap - 0.02)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares from 0 to 1. `worst_gap`: the largest difference between a system's accuracy here and by the LLM judge."""

    accuracy: float
    kappa: float
    worst_gap: float
    specific: float
    vague: float


# --- examples -----------------------------------------------------------------------------------------------------


def read_examples(path: Path) -> list[Example]:
    """The recorded answers, the borrowed ones, and those that are wrong by construction."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    recorded = [
        Example(
            question=_question(row),
            answer=row["answer"],
            type=row["system"] if row["system"] in (SPECIFIC, VAGUE) else HONEST,
            kind=row["system"],
            verdict=row["correct"],
        )
        for row in rows
    ]
    honest = [example for example in recorded if example.type == HONEST]
    return recorded + borrowed_examples(honest) + adversarial_examples(honest)


def _question(row: dict[str, Any]) -> Question:
    identity = row["question_id"], row["conversation_id"]
    return Question(*identity, row["question"], str(row["gold"]), row["category"], None, (), (), unanswerable=False)


def borrowed_examples(honest: Sequence[Example]) -> list[Example]:
    """Each honest answer, given to the most similar question whose gold answer shares no content word with its own.

    An answer that contains half of the content words of the other gold answer may be right, so it is left out.
    """
    borrowed = []
    by_id = {example.question.id: example.question for example in honest}
    stems = {key: (set(content_stems(q.text)), set(content_stems(q.gold))) for key, q in by_id.items()}
    nearest = {}
    for key, (words, gold_words) in stems.items():
        conversation = by_id[key].conversation_id
        others = [
            k for k in stems if by_id[k].conversation_id == conversation and k != key and not stems[k][1] & gold_words
        ]
        nearest[key] = max(others, key=lambda k: (len(stems[k][0] & words) / len(stems[k][0] | words), k))
    for example in honest:
        question = by_id[nearest[example.question.id]]
        gold_stems = set(content_stems(question.gold))
        if 2 * len(gold_stems & set(content_stems(example.answer))) < len(gold_stems):
            borrowed.append(Example(question, example.answer, BORROWED, BORROWED, False))
    return borrowed


def adversarial_examples(honest: Sequence[Example]) -> list[Example]:
    """Every form for every question, and the right honest answers with the gold's words replaced."""
    questions = list({example.question.id: example.question for example in honest}.values())
    maker = AdversarialAnswers(questions)
    made = [
        Example(question, wrong.answer, wrong.form, wrong.kind, False)
        for question in questions
        for wrong in maker.of(question, context=context_of(question, questions))
    ]
    altered = [
        Example(example.question, answer, NEAR_MISS, kind, False)
        for example in honest
        if example.verdict
        for kind, answer in maker.altered(example.question, example.answer)
    ]
    return made + altered


class Data:
    """The examples as arrays. An example has a row for each of its readings; its own answer is the first."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples
        compared = [_compare_readings(example) for example in examples]
        self.names = sorted({name for rows in compared for features, _ in rows for name in features})
        self.rows = np.array(
            [[features.get(name, 0.0) for name in self.names] for rows in compared for features, _ in rows]
        )
        self.decided = np.array([np.nan if verdict is None else verdict for rows in compared for _, verdict in rows])
        self.owner = np.repeat(np.arange(len(examples)), [len(rows) for rows in compared])
        self.first = np.searchsorted(self.owner, np.arange(len(examples)))
        self.conversation = np.array([example.question.conversation_id for example in examples])
        self.type = np.array([example.type for example in examples])
        self.kind = np.array([example.kind for example in examples])
        self.verdict = np.array([example.verdict for example in examples])
        # A yes-or-no answer cannot be vague, so its target is always the LLM's verdict.
        yes_no = np.isin(self.first, np.flatnonzero(self.rows[:, self.names.index("yes-no")]))
        self.target = self.verdict & ((self.type == HONEST) | yes_no)
        self.systems = sorted({example.kind for example in examples if example.type == HONEST})
        self.conversations = sorted(set(self.conversation.tolist()))


def _compare_readings(example: Example) -> list[tuple[dict[str, float], bool | None]]:
    """The features of each reading, and its verdict if a rule decides."""
    question, rows = example.question, []
    for reading in readings(question.text, question.gold, example.answer):
        decided = decide_without_model(question.gold, reading)
        comparison = compare(question.text, question.gold, reading)
        rows.append((dict(comparison.features), decided[0] if decided else False if comparison.ruled_out else None))
    return rows


# --- fitting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    intercept: float
    coefficients: Array
    threshold: float = 0.5

    def scores(self, data: Data) -> Array:
        """The probability that an answer is right: that of its least probable reading."""
        by_row = 1 / (1 + np.exp(-(data.rows @ self.coefficients + self.intercept)))
        by_row = np.where(np.isnan(data.decided), by_row, data.decided)
        scores = np.ones(len(data.examples))
        np.minimum.at(scores, data.owner, by_row)
        return scores


def fit(data: Data, settings: Settings, fitted: Mask) -> Model:
    """Fitted to the examples selected by `fitted`. The threshold is not chosen here."""
    weights = np.array([settings.weight(example) for example in data.examples])
    # The weights are those beside four honest answers to each question.
    honest = data.type == HONEST
    questions = {example.question.id for example, inside in zip(data.examples, fitted, strict=True) if inside}
    weights[~honest] *= (fitted & honest).sum() / (4 * len(questions))
    used = fitted & (weights > 0) & np.isnan(data.decided[data.first])
    columns = [i for i, name in enumerate(data.names) if settings.alignment or name.partition(".")[2] not in ALIGNMENT]
    rows = data.rows[data.first[used]][:, columns]
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=settings.inverse_penalty, max_iter=3_000)
    model.fit(scaler.transform(rows), data.target[used], sample_weight=weights[used])
    coefficients = np.zeros(len(data.names))
    coefficients[columns] = model.coef_[0] / scaler.scale_
    mean = np.zeros(len(data.names))
    mean[columns] = scaler.mean_
    return Model(float(model.intercept_[0] - coefficients @ mean), coefficients)


def left_out_scores(data: Data, settings: Settings, inside: Mask) -> Array:
    """Scores of the examples inside, each by a model fitted to the other conversations inside."""
    scores = np.zeros(len(data.examples))
    for conversation in data.conversations:
        held_out = inside & (data.conversation == conversation)
        if held_out.any():
            scores[held_out] = fit(data, settings, inside & ~held_out).scores(data)[held_out]
    return scores


def choose(data: Data, inside: Mask) -> tuple[Settings, float]:
    """The settings and the threshold with the smallest loss, leaving out each conversation inside in turn."""
    best: tuple[float, Settings, float] | None = None
    for settings in GRID:
        scores = left_out_scores(data, settings, inside)
        for threshold in THRESHOLDS:
            value = loss(measure(data, scores >= threshold, inside))
            if best is None or value < best[0]:
                best = value, settings, float(threshold)
    assert best is not None
    return best[1], best[2]


def measure(data: Data, accepted: Mask, inside: Mask) -> Figures:
    """κ: Cohen, "A coefficient of agreement for nominal scales", 1960."""
    honest = inside & (data.type == HONEST)
    gaps = [abs(gap) for gap in system_gaps(data, accepted, inside).values()]
    return Figures(
        accuracy=float(np.mean(data.verdict[honest] == accepted[honest])),
        kappa=float(cohen_kappa_score(data.verdict[honest], accepted[honest])),
        worst_gap=max(gaps),
        specific=float(np.mean(accepted[inside & (data.type == SPECIFIC)])),
        vague=float(np.mean(accepted[inside & (data.type == VAGUE)])),
    )


def system_gaps(data: Data, accepted: Mask, inside: Mask) -> dict[str, float]:
    """The rate that is accepted here minus the rate that the LLM judge accepts, by honest system."""
    gaps = {}
    for system in data.systems:
        selected = inside & (data.kind == system)
        gaps[system] = float(accepted[selected].mean() - data.verdict[selected].mean())
    return gaps


# --- leaving out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Validation:
    """What is accepted, by what is left out of the fit; and what was chosen without each conversation."""

    fitted: Mask
    conversation: Mask
    system: Mask
    kind: Mask
    chosen: dict[str, tuple[Settings, float]]
    final: Model
    final_settings: Settings


def validate(data: Data) -> Validation:
    everything = np.ones(len(data.examples), bool)
    conversation, system, kind = (np.zeros(len(data.examples), bool) for _ in range(3))
    chosen = {}
    for name in data.conversations:
        outside, inside = data.conversation == name, data.conversation != name
        settings, threshold = choose(data, inside)
        chosen[name] = settings, threshold
        print(f"without {name}: {settings}, threshold {threshold:.2f}", file=sys.stderr)

        def accepted(fitted: Mask, settings: Settings = settings, threshold: float = threshold) -> Mask:
            return fit(data, settings, fitted).scores(data) >= threshold

        conversation[outside] = accepted(inside)[outside]
        for of_system in (data.kind == name for name in data.systems):
            system[outside & of_system] = accepted(inside & ~of_system)[outside & of_system]
        kinds = {k for k, t in zip(data.kind.tolist(), data.type.tolist(), strict=True) if t != HONEST}
        for of_kind in (data.kind == name for name in sorted(kinds)):
            selected = outside & of_kind
            kind[selected] = (
                accepted(inside & ~of_kind)[selected] if _is_fitted(data, of_kind) else conversation[selected]
            )
    settings, threshold = choose(data, everything)
    final = replace(fit(data, settings, everything), threshold=threshold)
    return Validation(final.scores(data) >= threshold, conversation, system, kind, chosen, final, settings)


def _is_fitted(data: Data, selected: Mask) -> bool:
    return data.examples[int(np.flatnonzero(selected)[0])].type in (SPECIFIC, VAGUE, BORROWED, NEAR_MISS)


def report(data: Data, result: Validation) -> None:
    everything = np.ones(len(data.examples), bool)
    honest = int((data.type == HONEST).sum())
    print(f"{honest:,} honest answers to {len({e.question.id for e in data.examples}):,} questions of ", end="")
    print(f"{len(data.conversations)} conversations; {len(data.examples) - honest:,} answers that are wrong\n")
    rows: list[tuple[str, Mask, bool]] = [
        ("fitted", result.fitted, True),
        ("conversation left out", result.conversation, True),
        ("conversation and system left out", result.system, True),
        ("conversation and kind left out", result.kind, False),
    ]
    print(f"{'':<34}{'accuracy':>9}{'κ':>7}{'worst gap':>11}{'specific':>10}{'vague':>8}")
    for name, accepted, is_about_honest in rows:
        figures = measure(data, accepted, everything)
        line = f"{name:<34}"
        line += (
            f"{figures.accuracy:>9.4f}{figures.kappa:>7.3f}{100 * figures.worst_gap:>11.1f}"
            if is_about_honest
            else " " * 27
        )
        wrong_is_known = name != "conversation and system left out"
        print(line + (f"{figures.specific:>10.1%}{figures.vague:>8.1%}" if wrong_is_known else ""))
    print(f"\n{'accepted':<44}{'n':>6}{'LLM':>8}", end="")
    print("".join(f"{name:>14}" for name in ("fitted", "conversation", "and system", "and kind")))
    groups: list[tuple[str, Mask]] = [(system, data.kind == system) for system in data.systems]
    groups += [(name, data.type == name) for name in (SPECIFIC, VAGUE, BORROWED, *FORMS)]
    near_misses = sorted(set(data.kind[data.type == NEAR_MISS].tolist()))
    groups += [(f"  near miss: {kind}", (data.type == NEAR_MISS) & (data.kind == kind)) for kind in near_misses]
    for name, selected in groups:
        if not selected.any():
            continue
        is_honest = name in data.systems
        columns = [
            result.fitted,
            result.conversation,
            result.system if is_honest else None,
            None if is_honest else result.kind,
        ]
        print(f"{name:<44}{selected.sum():>6}{data.verdict[selected].mean():>8.1%}", end="")
        print("".join(f"{column[selected].mean():>14.1%}" if column is not None else f"{'':>14}" for column in columns))
    print(
        f"\n{'conversation left out':<24}{'accuracy':>9}{'κ':>7}{'specific':>10}{'vague':>8}  gap of {', '.join(data.systems)}"
    )
    for name in data.conversations:
        inside = data.conversation == name
        figures = measure(data, result.conversation, inside)
        gaps = " ".join(f"{100 * gap:+6.1f}" for gap in system_gaps(data, result.conversation, inside).values())
        print(
            f"{name:<24}{figures.accuracy:>9.4f}{figures.kappa:>7.3f}{figures.specific:>10.1%}{figures.vague:>8.1%}  {gaps}"
        )


def milliseconds_per_answer(examples: Sequence[Example]) -> float:
    """Mean time in milliseconds of the offline judge, with the parameters of the package, for one recorded answer."""
    judge = OfflineJudge()
    recorded = [example for example in examples if example.type in (HONEST, SPECIFIC, VAGUE)]

    async def judge_all() -> None:
        for example in recorded:
            await judge.judge(example.question, example.answer)

    started = perf_counter()
    asyncio.run(judge_all())
    return 1_000 * (perf_counter() - started) / len(recorded)


def package_parameters(path: Path, data: Data, result: Validation) -> dict[str, Any]:
    """The model fitted to all examples and the figures, in the format of parameters.json."""
    with path.open(encoding="utf-8") as lines:
        llm = json.loads(next(lines)).get("judge_model", "an LLM")
    everything = np.ones(len(data.examples), bool)

    def figures(accepted: Mask) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(measure(data, accepted, everything)).items()}

    def accepted_forms(accepted: Mask) -> dict[str, float]:
        return {
            form: round(float(accepted[data.type == form].mean()), 4) for form in FORMS if (data.type == form).any()
        }

    by_system = figures(result.system)
    return {
        "verdicts_of": llm,
        "fitted_to": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "script": f"benchmarks/{Path(__file__).name}",
        "date": datetime.now(UTC).date().isoformat(),
        "settings": asdict(result.final_settings),
        "answers": int((data.type == HONEST).sum()),
        "conversations": len(data.conversations),
        "agreement": {
            "fitted": figures(result.fitted),
            "conversation_left_out": figures(result.conversation),
            "conversation_and_system_left_out": {k: by_system[k] for k in ("accuracy", "kappa", "worst_gap")},
            "forms_accepted": accepted_forms(result.kind),
        },
        "threshold": round(result.final.threshold, 4),
        "intercept": round(result.final.intercept, 5),
        "coefficients": {
            name: round(float(value), 5)
            for name, value in zip(data.names, result.final.coefficients, strict=True)
            if value
        },
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("verdicts", type=Path, help="recorded verdicts, one JSON object per line")
    parser.add_argument("--write", action="store_true", help="write the parameters that the package uses")
    options = parser.parse_args(arguments)
    data = Data(read_examples(options.verdicts))
    result = validate(data)
    report(data, result)
    if options.write:
        parameters = package_parameters(options.verdicts, data, result)
        PARAMETERS.write_text(json.dumps(parameters, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwrote {PARAMETERS}")
    print(f"\n{milliseconds_per_answer(data.examples):.2f} ms per answer")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
