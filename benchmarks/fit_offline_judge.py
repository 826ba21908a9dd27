"""Fit the offline judge to the recorded verdicts of an LLM judge, and measure how well the two agree.

    python benchmarks/fit_offline_judge.py VERDICTS.jsonl [--write]

Each line of VERDICTS.jsonl has conversation_id, question_id, category, question, gold, answer, system and correct (the
verdict). Systems whose name starts with "wrong on purpose" gave answers that are known to be wrong. All printed figures
except the time are measured leave-one-conversation-out: each answer is judged by a model that was fitted without the
answers of its conversation. The features, the weights and the share of vague answers were chosen by these figures, so
expect slightly lower agreement on other data. With --write, the model fitted to all answers is written to
engram_eval/judges/offline/parameters.json.
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
from engram_eval.language.words import content_stems
from engram_eval.types import Question

KNOWN_WRONG = "wrong on purpose"
KNOWN_WRONG_SPECIFIC = f"{KNOWN_WRONG}, specific"
KNOWN_WRONG_VAGUE = f"{KNOWN_WRONG}, vague"
BORROWED = "borrowed"
HONEST = "honest"

# The strength of the L2 penalty, and the weight of each type of answer. The target for an honest answer is the LLM's
# verdict. The target for an answer that is wrong on purpose is always "wrong": the LLM accepts most of the vague ones, and
# the judge should not learn that. A borrowed answer is an honest answer to a similar question of the same conversation: a
# long, fluent sentence on the topic that does not answer the question, as an extractive reader may give. The vague answers
# have the largest weight of the three because they are the hardest to tell from honest ones. Agreement changes little
# between half and twice these weights.
PENALTY = 1.0
WEIGHTS = {HONEST: 1.0, KNOWN_WRONG_SPECIFIC: 0.15, KNOWN_WRONG_VAGUE: 0.6, BORROWED: 0.3}

# The decision threshold accepts this share of the vague answers. The aim is at most a tenth, and the share is slightly
# higher on conversations that the model was not fitted to.
VAGUE_ACCEPTANCE = 0.085

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    conversation_id: str
    question_id: str
    question: str
    gold: str
    answer: str
    system: str
    verdict: bool

    @property
    def answer_type(self) -> str:
        return next((answer_type for answer_type in WEIGHTS if self.system.startswith(answer_type)), HONEST)


@dataclass(frozen=True, slots=True)
class Model:
    intercept: float
    coefficients: Array
    threshold: float

    def probabilities(self, rows: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-(rows @ self.coefficients + self.intercept))))


def read_examples(path: Path) -> list[Example]:
    """The recorded answers, followed by the borrowed ones."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    examples = [
        Example(
            conversation_id=row["conversation_id"],
            question_id=row["question_id"],
            question=row["question"],
            gold=str(row["gold"]),
            answer=row["answer"],
            system=row["system"],
            verdict=row["correct"],
        )
        for row in rows
    ]
    return examples + borrowed_examples(examples)


def borrowed_examples(examples: Sequence[Example]) -> list[Example]:
    """Each honest answer, given to the most similar question whose gold answer shares no content word with its own.

    An answer that contains half of the content words of the other gold answer may be right, so it is left out.
    """
    borrowed = []
    honest = [example for example in examples if example.answer_type == HONEST]
    by_question = {(e.conversation_id, e.question_id): e for e in honest}
    stems = {key: (set(content_stems(e.question)), set(content_stems(e.gold))) for key, e in by_question.items()}
    nearest = {}
    for key, (words, gold_words) in stems.items():
        others = [k for k in stems if k[0] == key[0] and k != key and not stems[k][1] & gold_words]
        nearest[key] = max(others, key=lambda k: (len(stems[k][0] & words) / len(stems[k][0] | words), k))
    for example in honest:
        nearest_question = by_question[nearest[example.conversation_id, example.question_id]]
        gold_stems = set(content_stems(nearest_question.gold))
        if 2 * len(gold_stems & set(content_stems(example.answer))) >= len(gold_stems):
            continue
        system = f"{BORROWED} from {example.system}"
        question, gold = nearest_question.question, nearest_question.gold
        borrowed.append(replace(example, question=question, gold=gold, system=system, verdict=False))
    return borrowed


def feature_matrix(examples: Sequence[Example]) -> tuple[Array, list[str], list[str]]:
    """One row per example, the names of the columns, and the kind of each example."""
    compared = [compare(e.question, e.gold, e.answer) for e in examples]
    names = sorted({name for comparison in compared for name in comparison.features})
    rows = np.array([[c.features.get(name, 0.0) for name in names] for c in compared])
    return rows, names, [c.kind for c in compared]


def training_targets(examples: Sequence[Example], kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
    """The target for each example. A yes-no answer cannot be vague, so its target is always the LLM's verdict."""
    return np.array(
        [e.verdict and (e.answer_type == HONEST or k == "yes-no") for e, k in zip(examples, kinds, strict=True)]
    )


def wrong_by_rule(examples: Sequence[Example]) -> npt.NDArray[np.bool_]:
    """Which answers are empty or abstain. They are wrong by rule, whatever the model predicts."""
    return np.array([(decide_without_model(e.gold, e.answer) or (True, ""))[0] is False for e in examples])


def fit(examples: Sequence[Example], rows: Array, target: npt.NDArray[np.bool_]) -> Model:
    weights = np.array([WEIGHTS[example.answer_type] for example in examples])
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=PENALTY, max_iter=5_000).fit(scaler.transform(rows), target, sample_weight=weights)
    coefficients = model.coef_[0] / scaler.scale_
    fitted = Model(float(model.intercept_[0] - coefficients @ scaler.mean_), coefficients, 0.5)
    vague = np.array([example.answer_type == KNOWN_WRONG_VAGUE for example in examples])
    probabilities = np.where(wrong_by_rule(examples), 0.0, fitted.probabilities(rows))
    return replace(fitted, threshold=float(np.quantile(probabilities[vague], 1 - VAGUE_ACCEPTANCE)))


def leave_one_conversation_out(examples: Sequence[Example]) -> tuple[npt.NDArray[np.bool_], dict[str, Model]]:
    """Whether a model fitted to all other conversations accepts each example, and those models by conversation."""
    rows, _, kinds = feature_matrix(examples)
    target = training_targets(examples, kinds)
    accepted = np.zeros(len(examples), bool)
    models = {}
    for conversation in sorted({example.conversation_id for example in examples}):
        held_out = np.array([example.conversation_id == conversation for example in examples])
        others = [example for example in examples if example.conversation_id != conversation]
        model = fit(others, rows[~held_out], target[~held_out])
        accepted[held_out] = model.probabilities(rows[held_out]) >= model.threshold
        models[conversation] = model
    return accepted & ~wrong_by_rule(examples), models


@dataclass(frozen=True, slots=True)
class Agreement:
    accuracy: float
    kappa: float
    answers: int
    conversations: int
    accepted_specific: float
    accepted_vague: float


def agreement(examples: Sequence[Example], accepted: npt.NDArray[np.bool_]) -> Agreement:
    """Accuracy and κ on the honest answers, and the accepted shares of the answers that are wrong on purpose.

    κ: Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    answer_types = np.array([example.answer_type for example in examples])
    honest = answer_types == HONEST
    verdicts = np.array([example.verdict for example in examples])
    return Agreement(
        accuracy=round(float(np.mean(verdicts[honest] == accepted[honest])), 4),
        kappa=round(float(cohen_kappa_score(verdicts[honest], accepted[honest])), 4),
        answers=int(honest.sum()),
        conversations=len({example.conversation_id for example in examples}),
        accepted_specific=round(float(np.mean(accepted[answer_types == KNOWN_WRONG_SPECIFIC])), 4),
        accepted_vague=round(float(np.mean(accepted[answer_types == KNOWN_WRONG_VAGUE])), 4),
    )


def report(examples: Sequence[Example], accepted: npt.NDArray[np.bool_], models: dict[str, Model]) -> None:
    """Print the agreement by system and by conversation, and the coefficients of each model."""
    overall = agreement(examples, accepted)
    print(f"leave-one-conversation-out, {overall.answers} honest answers: ", end="")
    print(f"accuracy {overall.accuracy:.4f}, κ {overall.kappa:.3f}\n")
    print(f"{'accepted':<44} {'n':>5} {'LLM':>7} {'offline':>8} {'diff':>6}")
    systems = sorted({example.system for example in examples})
    for system in systems:
        of_system = np.array([example.system == system for example in examples])
        llm, offline = _acceptance_rates(examples, accepted, of_system)
        print(f"{system:<44} {of_system.sum():>5} {llm:>7.1%} {offline:>8.1%} {100 * (offline - llm):>+6.1f}")
    honest = [system for system in systems if not system.startswith((KNOWN_WRONG, BORROWED))]
    print(f"\n{'left out':<12} {'accuracy':>8} {'κ':>6} {'specific':>8} {'vague':>6}  diff of {', '.join(honest)}")
    for conversation in models:
        inside = np.array([example.conversation_id == conversation for example in examples])
        measured = agreement([e for e in examples if e.conversation_id == conversation], accepted[inside])
        rates = [
            _acceptance_rates(examples, accepted, inside & (np.array([e.system for e in examples]) == name))
            for name in honest
        ]
        differences = " ".join(f"{100 * (offline - llm):+5.1f}" for llm, offline in rates)
        print(
            f"{conversation:<12} {measured.accuracy:>8.4f} {measured.kappa:>6.3f} {measured.accepted_specific:>8.1%}",
            end="",
        )
        print(f" {measured.accepted_vague:>6.1%}  {differences}")
    names = feature_matrix(examples)[1]
    print(f"\n{'fitted without':<26}" + "".join(f"{conversation:>10}" for conversation in models))
    for i, name in enumerate(names):
        print(f"{name:<26}" + "".join(f"{model.coefficients[i]:>10.3f}" for model in models.values()))
    for name in ("intercept", "threshold"):
        print(f"{name:<26}" + "".join(f"{getattr(model, name):>10.3f}" for model in models.values()))


def _acceptance_rates(
    examples: Sequence[Example], accepted: npt.NDArray[np.bool_], selected: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    verdicts = np.array([example.verdict for example in examples])
    return float(np.mean(verdicts[selected])), float(np.mean(accepted[selected]))


def milliseconds_per_answer(examples: Sequence[Example]) -> float:
    """Mean time in milliseconds of the offline judge, with the parameters of the package, for one recorded answer."""
    judge = OfflineJudge()
    answers = [
        (Question(e.question_id, e.conversation_id, e.question, e.gold, "", None, (), (), False), e.answer)
        for e in examples
        if e.answer_type != BORROWED
    ]

    async def judge_all() -> None:
        for question, answer in answers:
            await judge.judge(question, answer)

    started = perf_counter()
    asyncio.run(judge_all())
    return 1_000 * (perf_counter() - started) / len(answers)


def package_parameters(path: Path, examples: Sequence[Example], measured: Agreement) -> dict[str, Any]:
    """The model fitted to all examples, in the format of parameters.json."""
    rows, names, kinds = feature_matrix(examples)
    model = fit(examples, rows, training_targets(examples, kinds))
    with path.open(encoding="utf-8") as lines:
        llm = json.loads(next(lines)).get("judge_model", "an LLM")
    return {
        "verdicts_of": llm,
        "fitted_to": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "script": f"benchmarks/{Path(__file__).name}",
        "date": datetime.now(UTC).date().isoformat(),
        "penalty": PENALTY,
        "weights": WEIGHTS,
        "vague_acceptance": VAGUE_ACCEPTANCE,
        "agreement": asdict(measured),
        "threshold": round(model.threshold, 4),
        "intercept": round(model.intercept, 5),
        "coefficients": {name: round(float(value), 5) for name, value in zip(names, model.coefficients, strict=True)},
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("verdicts", type=Path, help="recorded verdicts, one JSON object per line")
    parser.add_argument("--write", action="store_true", help="write the parameters that the package uses")
    options = parser.parse_args(arguments)
    examples = read_examples(options.verdicts)
    accepted, models = leave_one_conversation_out(examples)
    report(examples, accepted, models)
    if options.write:
        parameters = package_parameters(options.verdicts, examples, agreement(examples, accepted))
        PARAMETERS.write_text(json.dumps(parameters, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwrote {PARAMETERS}")
    print(f"\n{milliseconds_per_answer(examples):.2f} ms per answer")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
