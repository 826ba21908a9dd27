"""The offline judge's agreement with recorded LLM verdicts, recomputed from data outside the project."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from engram_eval.judges.agreement import Agreement, agreement, pair_verdicts, wrong_answers_accepted
from engram_eval.judges.grade import grade
from engram_eval.judges.offline.judge import PARAMETERS, OfflineJudge
from engram_eval.judges.verdict_file import GradedAnswer, read_verdicts


def test_the_fitted_figures_in_parameters_json_are_reproduced(real_data: Path) -> None:
    path = real_data / "locomo_verdicts_dev.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the folder in ENGRAM_EVAL_DATA")
    recorded, _ = read_verdicts(path)
    judge = OfflineJudge()
    graded = pair_verdicts(recorded, asyncio.run(grade([(judge, a.question, a.answer) for a in recorded], 1)))
    by_system: dict[str, list[GradedAnswer]] = {}
    for answer in graded:
        by_system.setdefault(answer.recorded.system, []).append(answer)
    wrong = {name: answers for name, answers in by_system.items() if name.startswith("wrong on purpose")}
    honest = [answer for answer in graded if answer.recorded.system not in wrong]

    stored = json.loads(PARAMETERS.read_text(encoding="utf-8"))["agreement"]["fitted"]
    measured = agreement(honest)
    assert measured.same.rate == pytest.approx(stored["accuracy"], abs=0.002)
    assert measured.kappa == pytest.approx(stored["kappa"], abs=0.005)
    gaps = [_gap(agreement(answers)) for name, answers in by_system.items() if name not in wrong]
    assert max(gaps) == pytest.approx(stored["worst_gap"], abs=0.003)
    for name, answers in wrong.items():
        kind = name.rpartition(" ")[2]
        assert wrong_answers_accepted(answers).judged.rate == pytest.approx(stored[kind], abs=0.003)


def test_what_is_quoted_was_measured_on_conversations_left_out_of_the_fit() -> None:
    parameters = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    left_out = parameters["agreement"]["conversation_left_out"]
    assert f"{left_out['accuracy']:.1%}" in OfflineJudge().agreement
    assert f"κ {left_out['kappa']:.2f}" in OfflineJudge().agreement


def test_the_docs_quote_the_figures_of_parameters_json() -> None:
    agreement = json.loads(PARAMETERS.read_text(encoding="utf-8"))["agreement"]
    root = Path(__file__).parents[2]
    for page in ("README.md", "docs/judges.md", "docs/measurements.md"):
        text = (root / page).read_text("utf-8")
        for figures in (
            agreement["fitted"],
            agreement["conversation_left_out"],
            agreement["conversation_and_system_left_out"],
        ):
            assert f"{100 * figures['accuracy']:.1f} %" in text, page
    measurements = (root / "docs" / "measurements.md").read_text("utf-8")
    for form, share in agreement["forms_accepted"].items():
        assert f"{100 * share:.1f} %" in measurements, form


def _gap(measured: Agreement) -> float:
    assert measured.judged is not None and measured.recorded is not None
    return abs(measured.judged - measured.recorded)
