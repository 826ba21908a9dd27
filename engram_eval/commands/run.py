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
    add("--reader", metavar="NAME", help="who answers: offline or llm (offline)")
    add("--judge", metavar="NAME", help="who grades: offline, llm, or on LoCoMo llm:strict (offline)")
    add("--model", metavar="NAME", help="the model of reader and judge (gpt-4o-mini)")
    add("--reader-model", metavar="NAME", help="the reader's, if it is another")
    add("--judge-model", metavar="NAME", help="the judge's, if it is another")
    add("--judge-votes", type=positive, metavar="N", help="verdicts per answer, of which the majority counts (1)")
    add("--base-url", metavar="URL", help="an OpenAI-compatible endpoint ($OPENAI_BASE_URL, else OpenAI's own)")
    add("--window", type=positive, metavar="N", help="context tokens that the llm reader takes (126000)")
    add("--max-in-flight", type=positive, metavar="N", help="calls under way at a time (16)")
    add("--max-cost", type=float, metavar="USD", help="stop before more than this is spent")
    add("--replay", action="store_true", help="answer from the cache of earlier calls alone; call nobody")
    add("--embedder", metavar="NAME", help="who embeds (static)")
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


def _run(options: argparse.Namespace) -> int:
    from engram_eval import manifest as manifests
    from engram_eval.plan import describe, make_plan
    from engram_eval.results import RunFolder

    if options.resume:
        if options.out or options.experiment:
            raise UserError("--resume goes on with a run as it was begun: leave --out and the experiment file out")
        folder = RunFolder(options.resume)
        stored = folder.manifest()
        plan = make_plan(manifests.resumed_settings(stored, options.resume, _given(options)))
        manifests.refuse_other_run(stored, describe(plan), options.resume)
    else:
        plan = make_plan(manifests.new_settings(options.experiment, _given(options)))
        folder = RunFolder(options.out or manifests.default_folder(plan.dataset.name))
    _print_plan(plan.why if options.dry_run else {**plan.why, "run": str(folder.path)})
    if options.dry_run:
        _print_estimate(plan)
        return DONE
    if not options.resume:
        folder.create({**manifests.provenance(), **describe(plan), "finished": None})
    try:
        asyncio.run(_execute(plan, folder, options))
    except UserError:
        _write_summary(folder)
        raise
    except KeyboardInterrupt:
        _write_summary(folder)
        print(f"\nengram-eval: interrupted; finish it with: engram-eval run --resume {folder.path}", file=sys.stderr)
        return INTERRUPTED
    usage = plan.llm.usage() if plan.llm else {}
    folder.write_manifest({**folder.manifest(), "finished": manifests.now(), "usage": usage})
    summary = _write_summary(folder)
    print_comparison([folder], "table")
    for role, used in usage.items():
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
        if plan.llm:
            await plan.llm.close()


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
        "base_url": options.base_url,
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
    """Tokens by the budget: what a memory sends at most, and of the full history what it really holds."""
    from engram_eval.backends import traits_of

    whole = 0
    for sample in plan.dataset.samples():
        asked = sum(question.id in plan.chosen for question in sample.questions)
        if asked:
            turns = (turn for session in sample.conversation.sessions for turn in session.turns)
            history = plan.tokens.count("\n".join(f"{turn.speaker}: {turn.text}" for turn in turns))
            whole += asked * min(history, plan.reader.window)
    print(f"\n{'memory':16} {'questions':>10} {'context tokens, at most':>24}")
    for label, backend in plan.backends.items():
        traits = traits_of(backend)
        if not traits.control:
            tokens = plan.budget * len(plan.chosen) if traits.limit == "budget" else whole
            print(f"{label:16} {len(plan.chosen):>10,} {tokens:>24,}")
    paid = "Reader and judge are paid by the token: --max-cost stops a run before it spends more."
    print(f"Nothing was asked. {paid if plan.llm else 'The run would cost nothing.'}")


def _write_summary(folder: Any) -> dict[str, Any]:
    from engram_eval.metrics import summarise

    summary = summarise(folder.records(), folder.manifest())
    folder.write_summary(summary)
    return summary
