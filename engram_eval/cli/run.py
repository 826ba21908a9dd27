"""`run`: runs a benchmark against memory backends and records every question."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, INTERRUPTED, SOME_ERRORED, define
from engram_eval.cli.compare import print_comparison
from engram_eval.cli.options import add_settings, given
from engram_eval.cli.terminal import print_tables, say

if TYPE_CHECKING:
    from engram_eval.compare.comparison import Comparison
    from engram_eval.results.manifest import Manifest
    from engram_eval.run.finished import Run
    from engram_eval.run.plan import Plan


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _run,
        """run
run --dataset locomo --data locomo10.json --backend engram --backend full-history
run --data longmemeval_s_cleaned.json --limit 50 --budget 1200
run benchmarks/default.toml --set engram.k=20 --out results/k20
run --resume results/k20
run published/manifest.json --data locomo10.json --replay
run benchmarks/engram_locomo.toml --data locomo10.json --max-cost 10
run --data locomo10.json --backend worker:"/path/to/python my_worker.py" --backend bm25
run --data locomo10.json --reader llm --judge llm:strict --model qwen3 --base-url http://localhost:11434/v1""",
    )  # fmt: skip
    add = parser.add_argument
    add("experiment", nargs="?", type=Path, metavar="FILE.toml",
        help="an experiment file, or the manifest.json of a run; flags override it")  # fmt: skip
    add_settings(parser, ("data", "run", "reader", "judge", "router", "embedder", "models"))
    add("--out", type=Path, metavar="DIR", help="the run's folder (default: results/DATASET-TIME)")
    add("--resume", type=Path, metavar="RUN", help="finish an interrupted run; errored questions are asked again")
    add("--keep-memories", action="store_true", help="keep the memories' files in the run's folder")
    add("--dry-run", action="store_true", help="print the plan and its cost, and run nothing")


def _run(options: argparse.Namespace) -> int:
    from engram_eval.run.finished import Run
    from engram_eval.run.prepare import prepare_run

    prepared = prepare_run(
        given(options),
        experiment=options.experiment,
        out=options.out,
        resume=options.resume,
        dry=options.dry_run,
    )
    plan = prepared.plan
    print_plan(plan.why if options.dry_run else {**plan.why, "run": str(prepared.folder.path)})
    if options.dry_run:
        _print_estimate(plan)
        return DONE
    if plan.calls_models and not plan.settings.replay and not options.resume:
        _print_cost(plan)
    try:
        prepared.start(show_progress=True, debug=options.debug, keep_memories=options.keep_memories)
    except KeyboardInterrupt:
        return interrupted("run", prepared.folder.path)
    run = Run(prepared.folder.path)
    comparison = print_result(run, published=plan.settings.published)
    return _report_errors(run) if comparison.errors else DONE


def _report_errors(run: Run) -> int:
    """Prints how many questions errored, the first, and how to ask them again; returns the exit code."""
    errors = run.errors
    first = errors[0]
    say(
        f"engram-eval: {len(errors):,} questions ended in an error, the first ({first.backend}, {first.question_id}): "
        f"{first.error}; fix the cause, then ask them again with: engram-eval run --resume {run.folder}",
        err=True,
    )
    return SOME_ERRORED


# --- shared with `judge` and `rejudge` ----------------------------------------------------------------------------------------


def print_plan(why: Mapping[str, str]) -> None:
    for name, text in why.items():
        say(f"{name:9} {text}", err=True)


def interrupted(command: str, folder: Path) -> int:
    say(f"\nengram-eval: interrupted; finish it with: engram-eval {command} --resume {folder}", err=True)
    return INTERRUPTED


def print_result(run: Run, *, published: bool = False) -> Comparison:
    """Prints the comparison, what each role used over all processes that worked on the run, and the folder."""
    from engram_eval.compare.runs import compare

    comparison = compare(run, published=published)
    print_comparison(comparison)
    print_usage(run.manifest)
    say(f"Records, summary and manifest: {run.folder}")
    return comparison


def print_usage(manifest: Manifest, label: str = "") -> None:
    """One line for each role; `label` replaces its name where there are several judges."""
    for role, usage in manifest.usage.items():
        say(
            f"{label or role}: {usage.calls:,.0f} calls, {usage.cached:,.0f} from the cache, "
            f"{usage.prompt_tokens:,.0f} + {usage.completion_tokens:,.0f} tokens, ${usage.spent_usd:.4f} spent"
            + (f", {usage.unpriced:,.0f} calls without a price" if usage.unpriced else "")
        )


def _print_estimate(plan: Plan) -> None:
    from engram_eval.run.estimate import cost_sentence, estimate, estimate_table, ingestion_table
    from engram_eval.system.event_loop import run_to_end

    lines = run_to_end(estimate(plan))
    ingestion = ingestion_table(plan, lines)
    print_tables([estimate_table(plan, lines), *([ingestion] if ingestion else [])])
    say(f"{cost_sentence(plan, lines)} Nothing was asked.")


def _print_cost(plan: Plan) -> None:
    from engram_eval.run.estimate import cost_sentence, estimate
    from engram_eval.system.event_loop import run_to_end

    say(f"cost      {cost_sentence(plan, run_to_end(estimate(plan)))}", err=True)
