"""The offline judge's agreement with recorded LLM verdicts, recomputed from data outside the project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engram_eval.judges.offline.judge import PARAMETERS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fit_offline_judge.py"
ROW = re.compile(r"^(full-context|wrong on purpose)(.+?) +762 +([\d.]+)% +([\d.]+)% +([+-][\d.]+)$", re.MULTILINE)


def test_the_agreement_in_parameters_json_is_reproduced(real_data: Path) -> None:
    verdicts = real_data / "locomo_verdicts_dev.jsonl"
    if not verdicts.is_file():
        pytest.skip(f"no {verdicts.name} in the folder in ENGRAM_EVAL_DATA")
    run = subprocess.run([sys.executable, SCRIPT, verdicts], capture_output=True, text=True, check=True)
    match = re.search(r"accuracy (0\.\d+), κ (0\.\d+)", run.stdout)
    assert match
    accuracy, kappa = map(float, match.groups())
    assert kappa >= 0.73
    assert accuracy >= 0.92
    stored = json.loads(PARAMETERS.read_text(encoding="utf-8"))["agreement"]
    assert kappa == pytest.approx(stored["kappa"], abs=0.02)
    assert accuracy == pytest.approx(stored["accuracy"], abs=0.005)

    rows = ROW.findall(run.stdout)
    differences = [float(difference) for kind, _, _, _, difference in rows if kind == "full-context"]
    assert len(differences) == 4 and max(map(abs, differences)) <= 3
    accepted = {name.removeprefix(", "): float(ours) for kind, name, _, ours, _ in rows if kind != "full-context"}
    assert accepted["specific"] <= 7
    assert accepted["vague"] <= 10

    time = re.search(r"([\d.]+) ms per answer", run.stdout)
    assert time and float(time[1]) < 2  # below one on an idle machine
