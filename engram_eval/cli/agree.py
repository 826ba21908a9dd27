"""`agree`: how well a judge agrees with recorded verdicts."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, SOME_ERRORED, command
from engram_eval.cli.options import add_models, given
from engram_eval.cli.terminal import print_tables
from engram_eval.run.settings import Settings, from_mapping
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.judges.verdict_file import GradedAnswer, RecordedVerdict

_LINE = """a line of VERDICTS.jsonl is a JSON object with question_id, question, gold, answer and correct (true or false: the
recorded verdict), and if there are any conversation_id, category, system, benchmark (whose rules the judge uses: a name
of 'datasets list'; locomo) and unanswerable (true or false)"""


def add(commands: Any) -> None:
    parser = command(
        commands, "agree", _agree, "measure how well a judge agrees with recorded verdicts",
        """agree verdicts.jsonl
agree verdicts.jsonl --wrong 'adversarial*'
agree verdicts.jsonl --judge llm:strict --model gpt-4o-mini --max-cost 2 --out strict.jsonl""",
    )  # fmt: skip
    parser.description = f"{parser.description}\n\n{_LINE}"
    add = parser.add_argument
    add("verdicts", type=Path, metavar="VERDICTS.jsonl", help="graded answers, one JSON object a line")
    add("--wrong", action="append", default=[], metavar="SYSTEM", help="a system whose answers are all wrong; may be "
        "repeated, and a pattern such as 'adversarial*'")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write this judge's verdicts, one line for each that was read")
    add_models(parser, ("judge",))


def _agree(options: argparse.Namespace) -> int:
    from engram_eval.judges import agreement, agreement_tables, verdict_file
    from engram_eval.run.models import resolve_defaults

    recorded, sha256 = verdict_file.read_verdicts(options.verdicts)
    wrong = agreement.matching_systems(recorded, options.wrong)
    if options.out:
        verdict_file.require_writable(options.out, besides=options.verdicts)
    settings = resolve_defaults(_settings(options))
    answers = asyncio.run(_grade(recorded, settings))
    if options.out:
        verdict_file.write_verdicts(options.out, answers)
    tables = agreement_tables.make_tables(answers, wrong, settings.judge)
    notes = agreement_tables.make_notes(tables, settings.judge, sha256, wrong=bool(wrong))
    print_tables(tables, notes=notes)
    errors = [answer for answer in answers if answer.error]
    if not errors:
        return DONE
    print(
        f"engram-eval: {plural(len(errors), 'answer')} could not be graded, the first "
        f"({errors[0].recorded.question.id}): {errors[0].error}; the same command asks for them again and takes the "
        "others from the cache",
        file=sys.stderr,
    )
    return SOME_ERRORED


def _settings(options: argparse.Namespace) -> Settings:
    """Nobody reads here, and the judge is the offline one unless another is named: a look at a file must cost nothing."""
    return from_mapping({"judge": "offline", **given(options), "reader": "offline"}, "command line")


async def _grade(recorded: list[RecordedVerdict], settings: Settings) -> list[GradedAnswer]:
    from tqdm import tqdm

    from engram_eval.judges import agreement
    from engram_eval.judges.grade import grade
    from engram_eval.run.models import ModelClients

    roles = ModelClients(settings)
    try:
        benchmarks = {answer.benchmark.name: answer.benchmark for answer in recorded}
        judges = {name: roles.judge(benchmark) for name, benchmark in benchmarks.items()}
        who = roles.who("judge") if settings.asks_models() else next(iter(judges.values())).agreement
        print(f"judge     {settings.judge}{f': {who}' if who else ''}", file=sys.stderr)
        todo = [(judges[answer.benchmark.name], answer.question, answer.answer) for answer in recorded]
        limit = settings.max_in_flight if settings.asks_models() else 1
        form = "answers {bar:24} {n_fmt:>6}/{total_fmt} {elapsed}<{remaining}"
        with tqdm(total=len(todo), bar_format=form, disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
            verdicts = await grade(todo, limit, bar.update)
        for role, used in roles.usage().items():
            print(
                f"{role}: {used['calls']:,.0f} calls, {used['cached']:,.0f} from the cache, ${used['cost_usd']:.4f}",
                file=sys.stderr,
            )
        return agreement.pair_verdicts(recorded, verdicts)
    finally:
        await roles.close()
