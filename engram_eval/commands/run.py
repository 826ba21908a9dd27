"""`run`: asks a dataset's questions of memories and records all that happens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from engram_eval.commands import DONE, INTERRUPTED, SOME_ERRORED, command, positive
from engram_eval.commands.compare import print_comparison
from engram_eval.errors import UserError
from engram_eval.settings import parse_options


def add(commands: Any) -> None:
    parser = command(
        commands, "run", _run, "ask a dataset's questions of memories and record all that happens",
        """run
run --dataset locomo --data locomo10.json --backend engram --backend full-history
run --data longmemeval_s_cleaned.json --limit 50 --budget 1200
run benchmarks/default.toml --set engram.k=20 --out results/k20
run --resume results/k20
run --data locomo10.json --reader llm --judge llm --model gpt-4o-mini --max-cost 5
run --data locomo10.json --reader llm --model qwen3 --base-url http://localhost:11434/v1""",
    )  # fmt: skip
    add = parser.add_argument
    add("experiment", nargs="?", type=Path, metavar="FILE.toml", help="an experiment file; flags override it")
    add(
        "--dataset", metavar="NAME", help="default: what --data holds, else locomo, else synthetic; see 'datasets list'"
    )
    add("--data", metavar="FILE", help="the dataset's file (also: a file or folder in ENGRAM_EVAL_DATA)")
    add(
        "--backend",
        action="append",
        metavar="NAME[:PRESET]",
        help="a memory to measure; may be repeated; see 'backends'",
    )
    add("--no-controls", action="store_true", help="leave out the floor (none) and the ceiling (oracle)")
    add("--embedder", metavar="NAME", help="who embeds: static, or openai:MODEL at an endpoint (static)")
    add("--encoding", metavar="NAME", help="the tokenizer that counts context tokens (o200k_base)")
    add("--budget", type=positive, metavar="N", help="context tokens a memory may use (916; LongMemEval 1200)")
    add("--categories", metavar="A,B", help="ask only these, by name or number (all)")
    add("--limit", type=positive, metavar="N", help="ask a random sample of N questions (all)")
    add("--seed", type=int, metavar="S", help="of the sample and of the bootstrap (0)")
    add("--set", action="append", metavar="NAME.KEY=VALUE", help="a setting of a backend or of the dataset")
    add("--out", type=Path, metavar="DIR", help="the run's folder (results/DATASET-TIME)")
    add("--resume", type=Path, metavar="RUN", help="finish an interrupted run; questions that errored are asked again")
    add("--keep-memories", action="store_true", help="keep the memories' files in the run's folder")
    add("--dry-run", action="store_true", help="print the plan and what it would take, and ask nothing")
    add = parser.add_argument_group("models").add_argument
    add(
        "--reader", metavar="NAME", help="who answers: offline or llm (llm if OPENAI_API_KEY or OPENAI_BASE_URL is set)"
    )
    add("--judge", metavar="NAME", help="who grades: offline, llm, or on LoCoMo llm:strict (as the reader)")
    add(
        "--model", metavar="NAME", help="the model of all roles (gpt-4o-mini, or the only one that the endpoint serves)"
    )
    add("--base-url", metavar="URL", help="an OpenAI-compatible endpoint ($OPENAI_BASE_URL, else OpenAI's own)")
    for role, what in (("reader", "the reader's"), ("judge", "the judge's"), ("router", "router's and extractor's")):
        add(f"--{role}-model", metavar="NAME", help=f"{what} model, if it is another")
    for role in ("reader", "judge", "router", "embedder"):
        key = f"{role.upper()}_API_KEY"
        add(f"--{role}-base-url", metavar="URL", help=f"the {role}'s endpoint, if it is another; its key in {key}")
    add("--judge-votes", type=positive, metavar="N", help="verdicts per answer, of which the majority counts (1)")
    add("--no-probe", action="store_true", help="do not measure the llm judge by answers whose verdict is known")
    add("--window", type=positive, metavar="N", help="context tokens that the llm reader takes (126000)")
    add("--max-cost", type=float, metavar="USD", help="stop before the run has cost more than this")
    add("--prices", metavar="FILE.toml", help="prices that come before engram_eval/llm/prices.toml")
    add("--max-in-flight", type=positive, metavar="N", help="calls under way at a time (16)")
    add("--requests-per-minute", type=positive, metavar="N", help="at each endpoint (no limit)")
    add("--tokens-per-minute", type=positive, metavar="N", help="at each endpoint (no limit)")
    add("--timeout", type=float, metavar="S", help="seconds for one attempt at a call (120)")
    add("--replay", action="store_true", help="answer from the cache of earlier calls alone; call nobody")


def _run(options: argparse.Namespace) -> int:
    from engram_eval import manifest as manifests
    from engram_eval.estimate import estimate
    from engram_eval.plan import describe, make_plan
    from engram_eval.results import RunFolder

    if options.resume:
        if options.out or options.experiment:
            raise UserError("--resume goes on with a run as it was begun: leave --out and the experiment file out")
        folder = RunFolder(options.resume)
        stored = folder.manifest()
        settings = manifests.resumed_settings(stored, options.resume, _given(options))
        plan = make_plan(settings, spent_usd=manifests.spent_usd(stored, folder.records()))
        manifests.refuse_other_run(stored, describe(plan), options.resume)
    else:
        plan = make_plan(manifests.new_settings(options.experiment, _given(options)))
        folder = RunFolder(options.out or manifests.default_folder(plan.dataset.name))
    _print_plan(plan.why if options.dry_run else {**plan.why, "run": str(folder.path)})
    if options.dry_run:
        _print_estimate(plan)
        return DONE
    if plan.settings.asks_models() and not plan.settings.replay and not options.resume:
        print(f"cost      {_cost(plan, asyncio.run(estimate(plan)))}", file=sys.stderr)
    if not options.resume:
        folder.create({**manifests.provenance(), **describe(plan), "finished": None})
    try:
        asyncio.run(_execute(plan, folder, options))
    except UserError:
        _write_end(plan, folder, finished=None)
        raise
    except KeyboardInterrupt:
        _write_end(plan, folder, finished=None)
        print(f"\nengram-eval: interrupted; finish it with: engram-eval run --resume {folder.path}", file=sys.stderr)
        return INTERRUPTED
    summary = _write_end(plan, folder, finished=manifests.now())
    print_comparison([folder], "table")
    for role, used in folder.manifest()["usage"].items():
        print(
            f"{role}: {used['calls']:,.0f} calls, {used['cached']:,.0f} from the cache, "
            f"{used['prompt_tokens']:,.0f} + {used['completion_tokens']:,.0f} tokens, ${used['cost_usd']:.4f}"
        )
    print(f"Records, summary and manifest: {folder.path}")
    errors = sum(facts["errors"] for facts in summary["backends"].values())
    if errors:
        first = next(record for record in folder.records() if record.status == "error")
        print(
            f"engram-eval: {errors:,} questions ended in an error, the first ({first.backend}, {first.question_id}): "
            f"{first.error}; mend it, then ask them again with: engram-eval run --resume {folder.path}",
            file=sys.stderr,
        )
        return SOME_ERRORED
    return DONE


async def _execute(plan: Any, folder: Any, options: argparse.Namespace) -> None:
    from engram_eval.runner import execute

    try:
        await execute(plan, folder, debug=options.debug, keep_memories=options.keep_memories)
    finally:
        await plan.roles.close()


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags; what was not given is absent, so that it overrides nothing."""
    given = {
        "dataset": options.dataset,
        "data": options.data,
        "backends": options.backend,
        "reader": options.reader,
        "judge": options.judge,
        "embedder": options.embedder,
        "model": options.model,
        "reader_model": options.reader_model,
        "judge_model": options.judge_model,
        "judge_votes": options.judge_votes,
        "router_model": options.router_model,
        "judge_probe": False if options.no_probe else None,
        "base_url": options.base_url,
        "reader_base_url": options.reader_base_url,
        "judge_base_url": options.judge_base_url,
        "router_base_url": options.router_base_url,
        "embedder_base_url": options.embedder_base_url,
        "requests_per_minute": options.requests_per_minute,
        "tokens_per_minute": options.tokens_per_minute,
        "timeout": options.timeout,
        "prices": options.prices,
        "window": options.window,
        "max_in_flight": options.max_in_flight,
        "max_cost": options.max_cost,
        "replay": True if options.replay else None,
        "encoding": options.encoding,
        "budget": options.budget,
        "categories": None
        if options.categories is None
        else [c for c in options.categories.replace(" ", "").split(",") if c],
        "limit": options.limit,
        "seed": options.seed,
        "controls": False if options.no_controls else None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if options.set:
        given["options"] = parse_options(options.set)
    return given


def _print_plan(why: dict[str, str]) -> None:
    for name, text in why.items():
        print(f"{name:9} {text}", file=sys.stderr)


def _print_estimate(plan: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from engram_eval.estimate import dollars, estimate

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
    from engram_eval.estimate import dollars

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


def _write_end(plan: Any, folder: Any, *, finished: str | None) -> dict[str, Any]:
    """Writes what is known at the end of a run, however it ended."""
    from engram_eval import manifest as manifests
    from engram_eval.metrics import summarise

    stored = folder.manifest()
    usage = manifests.added_usage(stored.get("usage", {}), plan.roles.usage())
    folder.keep_cache_keys(plan.roles.take_used_keys())
    folder.write_manifest({**stored, "finished": finished, "usage": usage})
    summary = summarise(folder.records(), folder.manifest())
    folder.write_summary(summary)
    return summary
