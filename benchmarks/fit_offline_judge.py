"""Fits the offline judge to recorded verdicts of an LLM judge, and measures how well it agrees with them.

    python benchmarks/fit_offline_judge.py VERDICTS.jsonl [--write]

A line of VERDICTS.jsonl holds conversation_id, question_id, category, question, gold, answer, system and correct (the
verdict). Systems whose name begins with "wrong on purpose" hold answers that are known to be wrong. Everything that is
printed but the time is measured leave-one-conversation-out: each answer is judged by a model that has seen no other
answer from its conversation. (The features, the weights and the share of vague answers were chosen with these figures in
view: on other data expect somewhat less.) With --write, the model that is fitted to all of them becomes
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

WRONG = "wrong on purpose"
SPECIFIC = f"{WRONG}, specific"
VAGUE = f"{WRONG}, vague"
BORROWED = "borrowed"
HONEST = "honest"

# Strength of the L2 penalty and the weight of each answer. An honest answer's target is the LLM's verdict. One that is
# wrong on purpose has the target "wrong", whatever the LLM said of it: it accepts most of the vague ones, and that
# generosity is not to be learnt. A borrowed answer is an honest one to another, similar question of the same
# conversation: a long, fluent, topical sentence that does not answer, as an extractive reader may hand in. The vague
# ones weigh most, as they are the hardest to tell from honest ones; agreement changes little between half and twice
# these weights.
PENALTY = 1.0
WEIGHTS = {HONEST: 1.0, SPECIFIC: 0.15, VAGUE: 0.6, BORROWED: 0.3}

# The decision threshold is where this share of the vague answers is accepted: a tenth is the most that is wanted, and
# other conversations will have some more of them than those it is fitted to.
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
    def sort(self) -> str:
        return next((sort for sort in WEIGHTS if self.system.startswith(sort)), HONEST)


@dataclass(frozen=True, slots=True)
class Model:
    intercept: float
    coefficients: Array
    threshold: float

    def probabilities(self, rows: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-(rows @ self.coefficients + self.intercept))))


def read(path: Path) -> list[Example]:
    """The recorded answers, and behind them the borrowed ones."""
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
    return examples + borrowed(examples)


def borrowed(examples: Sequence[Example]) -> list[Example]:
    """Each honest answer handed in to the most similar question whose gold shares no content word with its own gold.

    One that nevertheless holds half of the other gold's content may well be right and is left out.
    """
    lent = []
    honest = [example for example in examples if example.sort == HONEST]
    asked = {(e.conversation_id, e.question_id): e for e in honest}
    stems = {key: (set(content_stems(e.question)), set(content_stems(e.gold))) for key, e in asked.items()}
    nearest = {}
    for key, (question, gold) in stems.items():
        others = [k for k in stems if k[0] == key[0] and k != key and not stems[k][1] & gold]
        nearest[key] = max(others, key=lambda k: (len(stems[k][0] & question) / len(stems[k][0] | question), k))
    for example in honest:
        other = asked[nearest[example.conversation_id, example.question_id]]
        wanted = set(content_stems(other.gold))
        if 2 * len(wanted & set(content_stems(example.answer))) >= len(wanted):
            continue
        system = f"{BORROWED} from {example.system}"
        lent.append(replace(example, question=other.question, gold=other.gold, system=system, verdict=False))
    return lent


def matrix(examples: Sequence[Example]) -> tuple[Array, list[str], list[str]]:
    """One row an example, the names of the columns, and each example's kind."""
    compared = [compare(e.question, e.gold, e.answer) for e in examples]
    names = sorted({name for comparison in compared for name in comparison.features})
    rows = np.array([[c.features.get(name, 0.0) for name in names] for c in compared])
    return rows, names, [c.kind for c in compared]


def targets(examples: Sequence[Example], kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
    """What the model is to say. Yes or no leaves no room to be vague: there, the LLM's verdict holds throughout."""
    return np.array([e.verdict and (e.sort == HONEST or k == "yes-no") for e, k in zip(examples, kinds, strict=True)])


def ruled(examples: Sequence[Example]) -> npt.NDArray[np.bool_]:
    """Which answers are empty or abstain: wrong by rule, whatever the model says."""
    return np.array([(decide_without_model(e.gold, e.answer) or (True, ""))[0] is False for e in examples])


def fit(examples: Sequence[Example], rows: Array, target: npt.NDArray[np.bool_]) -> Model:
    weights = np.array([WEIGHTS[example.sort] for example in examples])
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=PENALTY, max_iter=5_000).fit(scaler.transform(rows), target, sample_weight=weights)
    coefficients = model.coef_[0] / scaler.scale_
    fitted = Model(float(model.intercept_[0] - coefficients @ scaler.mean_), coefficients, 0.5)
    vague = np.array([example.sort == VAGUE for example in examples])
    probabilities = np.where(ruled(examples), 0.0, fitted.probabilities(rows))
    return replace(fitted, threshold=float(np.quantile(probabilities[vague], 1 - VAGUE_ACCEPTANCE)))


def leave_one_conversation_out(examples: Sequence[Example]) -> tuple[npt.NDArray[np.bool_], dict[str, Model]]:
    """For each example, what a model says that was fitted to all other conversations; and those models."""
    rows, _, kinds = matrix(examples)
    target = targets(examples, kinds)
    said = np.zeros(len(examples), bool)
    models = {}
    for conversation in sorted({example.conversation_id for example in examples}):
        out = np.array([example.conversation_id == conversation for example in examples])
        model = fit([e for e, left in zip(examples, out, strict=True) if not left], rows[~out], target[~out])
        said[out] = model.probabilities(rows[out]) >= model.threshold
        models[conversation] = model
    return said & ~ruled(examples), models


@dataclass(frozen=True, slots=True)
class Agreement:
    accuracy: float
    kappa: float
    answers: int
    conversations: int
    accepted_specific: float
    accepted_vague: float


def agreement(examples: Sequence[Example], said: npt.NDArray[np.bool_]) -> Agreement:
    """Accuracy and κ on the honest answers, and how many are accepted of those that are wrong on purpose.

    κ after Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    sorts = np.array([example.sort for example in examples])
    honest = sorts == HONEST
    verdicts = np.array([example.verdict for example in examples])
    return Agreement(
        accuracy=round(float(np.mean(verdicts[honest] == said[honest])), 4),
        kappa=round(float(cohen_kappa_score(verdicts[honest], said[honest])), 4),
        answers=int(honest.sum()),
        conversations=len({example.conversation_id for example in examples}),
        accepted_specific=round(float(np.mean(said[sorts == SPECIFIC])), 4),
        accepted_vague=round(float(np.mean(said[sorts == VAGUE])), 4),
    )


def report(examples: Sequence[Example], said: npt.NDArray[np.bool_], models: dict[str, Model]) -> None:
    reached = agreement(examples, said)
    print(f"leave-one-conversation-out, {reached.answers} honest answers: ", end="")
    print(f"accuracy {reached.accuracy:.4f}, κ {reached.kappa:.3f}\n")
    print(f"{'accepted':<44} {'n':>5} {'LLM':>7} {'offline':>8} {'diff':>6}")
    systems = sorted({example.system for example in examples})
    for system in systems:
        mine = np.array([example.system == system for example in examples])
        llm, ours = _accepted(examples, said, mine)
        print(f"{system:<44} {mine.sum():>5} {llm:>7.1%} {ours:>8.1%} {100 * (ours - llm):>+6.1f}")
    honest = [system for system in systems if not system.startswith((WRONG, BORROWED))]
    print(f"\n{'left out':<12} {'accuracy':>8} {'κ':>6} {'specific':>8} {'vague':>6}  diff of {', '.join(honest)}")
    for conversation in models:
        inside = np.array([example.conversation_id == conversation for example in examples])
        found = agreement([e for e in examples if e.conversation_id == conversation], said[inside])
        off = [_accepted(examples, said, inside & (np.array([e.system for e in examples]) == name)) for name in honest]
        print(f"{conversation:<12} {found.accuracy:>8.4f} {found.kappa:>6.3f} {found.accepted_specific:>8.1%}", end="")
        print(f" {found.accepted_vague:>6.1%}  " + " ".join(f"{100 * (ours - llm):+5.1f}" for llm, ours in off))
    names = matrix(examples)[1]
    print(f"\n{'fitted without':<26}" + "".join(f"{conversation:>10}" for conversation in models))
    for i, name in enumerate(names):
        print(f"{name:<26}" + "".join(f"{model.coefficients[i]:>10.3f}" for model in models.values()))
    for name in ("intercept", "threshold"):
        print(f"{name:<26}" + "".join(f"{getattr(model, name):>10.3f}" for model in models.values()))


def _accepted(
    examples: Sequence[Example], said: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    verdicts = np.array([example.verdict for example in examples])
    return float(np.mean(verdicts[of])), float(np.mean(said[of]))


def milliseconds(examples: Sequence[Example]) -> float:
    """The judge's mean time for one recorded answer, with the parameters of the package."""
    judge = OfflineJudge()
    asked = [
        (Question(e.question_id, e.conversation_id, e.question, e.gold, "", None, (), (), False), e.answer)
        for e in examples
        if e.sort != BORROWED
    ]

    async def every() -> None:
        for question, answer in asked:
            await judge.judge(question, answer)

    started = perf_counter()
    asyncio.run(every())
    return 1_000 * (perf_counter() - started) / len(asked)


def parameters(path: Path, examples: Sequence[Example], reached: Agreement) -> dict[str, Any]:
    rows, names, kinds = matrix(examples)
    model = fit(examples, rows, targets(examples, kinds))
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
        "agreement": asdict(reached),
        "threshold": round(model.threshold, 4),
        "intercept": round(model.intercept, 5),
        "coefficients": {name: round(float(value), 5) for name, value in zip(names, model.coefficients, strict=True)},
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("verdicts", type=Path, help="recorded verdicts, one JSON object a line")
    parser.add_argument("--write", action="store_true", help="write the parameters that the package uses")
    options = parser.parse_args(arguments)
    examples = read(options.verdicts)
    said, models = leave_one_conversation_out(examples)
    report(examples, said, models)
    if options.write:
        found = parameters(options.verdicts, examples, agreement(examples, said))
        PARAMETERS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwrote {PARAMETERS}")
    print(f"\n{milliseconds(examples):.2f} ms an answer")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
