"""Draw the two result figures of the documentation: accuracy against tokens, and evidence recall against the budget.

    python benchmarks/draw_results.py measure locomo10.json
    python benchmarks/draw_results.py collect results/RUN results/RUN ...
    python benchmarks/draw_results.py draw

`measure` runs the backends at six token budgets, with the offline reader and judge, and collects the results. `collect`
takes finished runs instead, one per budget. Both write docs/images/results.json, and all three draw the SVG files beside
it. The numbers are committed, so `draw` needs no data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results_charts import Point, Results, accuracy_chart, recall_chart

BUDGETS = (100, 200, 400, 916, 2000, 4000)
PUBLISHED_BUDGET = 916
"""The budget of the published ENGRAM figures; the full history and the controls run only here."""
BACKENDS = ("engram", "conditional", "bm25", "dense")

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
_NUMBERS = "results.json"
_SHARED = (("dataset", "sha256"), ("reader", "name"), ("judge", "name"))  # what all runs of a figure must share


def measure(data: Path, runs: Path) -> list[Path]:
    """Run all backends at all budgets. Each run's folder is `runs`/BUDGET; a finished run is not repeated."""
    folders = []
    for budget in BUDGETS:
        folder = runs / str(budget)
        folders.append(folder)
        if _is_finished(folder):
            continue
        published = budget == PUBLISHED_BUDGET
        backends = [*BACKENDS, "full-history"] if published else BACKENDS
        command = [sys.executable, "-m", "engram_eval", "run", "--data", str(data), "--out", str(folder)]
        command += ["--reader", "offline", "--judge", "offline", "--embedder", "static", "--budget", str(budget)]
        command += [argument for name in backends for argument in ("--backend", name)]
        print(f"budget {budget:,}", flush=True)
        done = subprocess.run(command if published else [*command, "--no-controls"], stdout=subprocess.DEVNULL)
        if done.returncode:  # the command has already printed the reason
            raise SystemExit(done.returncode)
    return folders


def _is_finished(run: Path) -> bool:
    summary = run / "summary.json"
    return summary.is_file() and bool(json.loads(summary.read_text(encoding="utf-8"))["complete"])


def collect(runs: Sequence[Path]) -> Results:
    """The numbers of both figures, read from finished runs of one dataset.

    Raises SystemExit if the runs differ in dataset, reader or judge.
    """
    points: list[Point] = []
    conversations: set[str] = set()
    first: dict[str, Any] | None = None
    for run in runs:
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        budget = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["budget"]
        first = first or summary
        if any(summary[key][name] != first[key][name] for key, name in _SHARED):
            raise SystemExit(
                f"{run}: dataset, reader or judge differ from those of {runs[0]}; name runs that share them"
            )
        with (run / "records.jsonl").open(encoding="utf-8") as lines:
            conversations |= {json.loads(line)["conversation_id"] for line in lines}
        points += [_point(backend, measured, budget) for backend, measured in summary["backends"].items()]
    assert first is not None
    return {
        "dataset": first["dataset"]["name"],
        "sha256": first["dataset"]["sha256"],
        "conversations": sorted(conversations),
        "questions": first["dataset"]["questions"],
        "scored": max(measured["n"] for measured in first["backends"].values()),
        "reader": first["reader"]["name"],
        "judge": first["judge"]["name"],
        "points": points,
    }


def _point(backend: str, measured: dict[str, Any], budget: int) -> Point:
    return {
        "backend": backend,
        "budget": budget,
        "within_budget": measured["context_limit"] == "budget",
        "control": measured["control"] or measured["sees_evidence"],
        "context_tokens": round(measured["context_tokens"]["mean"], 1),
        "accuracy": round(measured["accuracy"], 4),
        "accuracy_ci": [round(end, 4) for end in measured["accuracy_ci"]],
        "evidence_recall": round(measured["evidence_recall"], 4),
        "evidence_recall_ci": [round(end, 4) for end in measured["evidence_recall_ci"]],
    }


def draw(folder: Path) -> None:
    """Draw both figures beside the numbers in `folder`."""
    results: Results = json.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
    for name, chart in (("accuracy.svg", accuracy_chart), ("evidence_recall.svg", recall_chart)):
        (folder / name).write_text(chart(results), encoding="utf-8")
        print(folder / name)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--images", type=Path, default=_IMAGES, metavar="DIR", help="folder of the figures (docs/images)"
    )
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("measure", help="run the backends at six budgets, then draw")
    step.add_argument("data", type=Path, help="a LoCoMo file")
    step.add_argument("--runs", type=Path, metavar="DIR", help="keep the runs here; finished ones are not repeated")
    step = steps.add_parser("collect", help="take the numbers from finished runs, then draw")
    step.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, one per budget")
    steps.add_parser("draw", help="draw the committed numbers again")
    options = parser.parse_args(arguments)
    if options.step == "measure":
        with TemporaryDirectory(prefix="engram-eval-figures-") as scratch:
            _write(collect(measure(options.data, options.runs or Path(scratch))), options.images)
    elif options.step == "collect":
        _write(collect(options.runs), options.images)
    draw(options.images)
    return 0


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    points = ",\n".join(f"    {json.dumps(point)}" for point in results["points"])
    others = json.dumps({**results, "points": []}, indent=2).removesuffix("[]\n}")
    (folder / _NUMBERS).write_text(f"{others}[\n{points}\n  ]\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
