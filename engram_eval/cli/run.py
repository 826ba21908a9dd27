"""`run`: asks a dataset's questions of memories and records all that happens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from engram_eval.cli.command import DONE, INTERRUPTED, SOME_ERRORED, command, positive
from engram_eval.cli.compare import print_comparison
from engram_eval.cli.options import add_data, add_models, add_probe, given
from engram_eval.errors import UserError
from engram_eval.run.lifecycle import print_usage, run_to_completion


def add(commands: Any) -> None:
    parser = command(
        commands, "run", _run, "ask a dataset's questions of memories and record all that happens",
        """run
run --dataset locomo --data locomo10.json --backend engram --backend full-history
run --data longmemeval_s_cleaned.json --limit 50 --budget 1200
run benchmarks/default.toml --set engram.k=20 --out results/k20
run --resume results/k20
run published/manifest.json --data locomo10.json --replay
run benchmarks/engram_locomo.toml --data locomo10.json --max-cost 10 --published
run --data locomo10.json --reader llm --judge llm:strict --model qwen3 --base-url http://localhost:11434/v1""",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "experiment",
        nargs="?",
        type=Path,
        metavar="FILE.toml",
        help="an experiment file, or the manifest.json of a run; flags override it",
    )
    add_data(parser)
    add(
        "--backend",
        action="append",
        dest="backends",
        metavar="NAME[:PRESET]",
        help="a memory to measure, or a variant of the experiment file; may be repeated; see 'backends'",
    )
    add(
        "--no-controls",
        action="store_const",
        const=False,
        dest="controls",
        help="leave out the floor (none) and the ceiling (oracle)",
    )
    add("--embedder", metavar="NAME", help="who embeds: static, minilm, or openai:MODEL at an endpoint (static)")
    add("--encoding", metavar="NAME", help="the tokenizer that counts context tokens (o200k_base)")
    add("--budget", type=positive, metavar="N", help="context tokens a memory may use (916; LongMemEval 1200)")
    add("--window", type=positive, metavar="N", help="context tokens that the llm reader takes (126000)")
    add("--limit", type=positive, metavar="N", help="ask a random sample of N questions (all)")
    add("--seed", type=int, metavar="S", help="of the sample and of the bootstrap (0)")
    add(
        "--set",
        action="append",
        dest="options",
        metavar="NAME.KEY=VALUE",
        help="a setting of a backend or of the dataset",
    )
    add("--out", type=Path, metavar="DIR", help="the run's folder (results/DATASET-TIME)")
    add("--resume", type=Path, metavar="RUN", help="finish an interrupted run; questions that errored are asked again")
    add("--keep-memories", action="store_true", help="keep the memories' files in the run's folder")
    add(
        "--published",
        action="store_true",
        help="set the published figures beside the result, as 'compare --published' does",
    )
    add("--dry-run", action="store_true", help="print the plan and what it would take, and ask nothing")
    add_probe(parser)
    add_models(parser, ("reader", "judge", "router", "embedder"))


def _run(options: argparse.Namespace) -> int:
    from engram_eval.results.folder import RunFolder, default_folder
    from engram_eval.results.manifest import Manifest
    from engram_eval.results.provenance import provenance
    from engram_eval.run import resume as manifests
    from engram_eval.run.estimate import estimate
    from engram_eval.run.plan import describe, make_plan
    from engram_eval.run.runner import execute

    if options.resume:
        if options.out or options.experiment:
            raise UserError("--resume goes on with a run as it was begun: leave --out and the experiment file out")
        folder = RunFolder(options.resume)
        stored = folder.manifest()
        if stored.has_recorded_answers:
            raise UserError(
                f"{options.resume}: holds graded answers; finish it with 'engram-eval judge --resume {options.resume}'"
            )
        settings = manifests.resumed_settings(stored, options.resume, given(options))
        plan = make_plan(settings, spent_usd=folder.spent_usd(), dry=options.dry_run)
        manifests.refuse_other_run(stored, describe(plan), options.resume)
    else:
        plan = make_plan(manifests.new_settings(options.experiment, given(options)), dry=options.dry_run)
        folder = RunFolder(options.out or default_folder(plan.dataset.benchmark.name))
    _print_plan(plan.why if options.dry_run else {**plan.why, "run": str(folder.path)})
    if options.dry_run:
        _print_estimate(plan)
        return DONE
    if plan.roles.described() and not plan.settings.replay and not options.resume:
        print(f"cost      {_cost(plan, asyncio.run(estimate(plan)))}", file=sys.stderr)
    if not options.resume:
        folder.create(Manifest.of(describe(plan), **provenance()))
    work = execute(plan, folder, debug=options.debug, keep_memories=options.keep_memories)
    summary = run_to_completion(work, folder, plan.roles, command="run")
    if summary is None:
        return INTERRUPTED
    print_comparison([folder], "table", published=options.published)
    print_usage(folder)
    errors = sum(backend.errors for backend in summary.backends.values())
    if errors:
        first = next(record for record in folder.records() if record.status == "error")
        print(
            f"engram-eval: {errors:,} questions ended in an error, the first ({first.backend}, {first.question_id}): "
            f"{first.error}; mend it, then ask them again with: engram-eval run --resume {folder.path}",
            file=sys.stderr,
        )
        return SOME_ERRORED
    return DONE


def _print_plan(why: dict[str, str]) -> None:
    for name, text in why.items():
        print(f"{name:9} {text}", file=sys.stderr)


def _print_estimate(plan: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from engram_eval.run.estimate import dollars, estimate

    lines = asyncio.run(estimate(plan))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("memory")
    for name in ("questions", "context", "prompt tokens", "completion tokens", "$ ingest", "$ answers", "$ judge"):
        table.add_column(name, justify="right")
    for line in lines:
        roles = [{"router", "extractor", "embedder"}, {"reader"}, {"judge"}]
        costs = [dollars(plan, {r: use for r, use in line.uses.items() if r in some}) for some in roles]
        sums = [
            sum(getattr(use, name) for use in line.uses.values()) for name in ("prompt_tokens", "completion_tokens")
        ]
        table.add_row(
            line.label, f"{line.questions:,}", f"{line.context_tokens:,.0f}",
            *(f"{number:,.0f}" for number in sums), *("–" if usd is None else f"{usd:.2f}" for usd in costs),
        )  # fmt: skip
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(table)
    print(f"{_cost(plan, lines)} Nothing was asked.")


def _cost(plan: Any, lines: Any) -> str:
    from engram_eval.run.estimate import dollars

    if not any(line.uses for line in lines):
        return "No model is asked: the run would cost nothing."
    total = 0.0
    for line in lines:
        if (usd := dollars(plan, line.uses)) is None:
            return "What it would cost is not known: a model has no price; name a file that has it with --prices."
        total += usd
    bound = plan.settings.max_cost
    stop = "; name --max-cost to bound it" if bound is None else f"; it stops before it has cost more than ${bound:g}"
    return f"About ${total:.2f}{stop}." if total >= 1 else f"About ${total:.4f}{stop}."
