"""`agree`: how well a judge agrees with recorded verdicts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, SOME_ERRORED, define
from engram_eval.cli.options import add_settings, given
from engram_eval.cli.terminal import print_tables, say
from engram_eval.errors import UserError
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.judges.verdict_file import GradedAnswer

_LINE = """Each line of VERDICTS.jsonl is a JSON object with question_id, question, gold, answer and correct (true or false: the
recorded verdict), and optionally conversation_id, category, system, benchmark (whose rules the judge uses: a name of
'datasets list'; default: locomo) and unanswerable (true or false). Without --judge, the judge is offline."""


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _agree,
        """agree verdicts.jsonl
agree verdicts.jsonl --wrong 'adversarial*'
agree verdicts.jsonl --adversarial
agree verdicts.jsonl --judge llm:strict --model gpt-4o-mini --max-cost 2 --out strict.jsonl""",
        _LINE,
    )  # fmt: skip
    add = parser.add_argument
    add("verdicts", type=Path, metavar="VERDICTS.jsonl", help="graded answers, one JSON object per line")
    add("--wrong", action="append", default=[], metavar="SYSTEM",
        help="a system whose answers are all wrong, or a pattern such as 'adversarial*'; can be repeated")  # fmt: skip
    add("--adversarial", action="store_true",
        help="grade answers to the file's questions that are wrong by construction, instead of the file's answers: echoes, "
        "near misses, negations, hedges, context dumps, abstentions, empty phrases; up to nine per question")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write this judge's verdicts, one line for each answer")
    add_settings(parser, ("judge", "models"), without=("judge_probe",))


def _agree(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from engram_eval.judges import agreement, agreement_tables, verdict_file
    from engram_eval.run.agree import prepare_agreement

    recorded, sha256 = verdict_file.read_verdicts(options.verdicts)
    if options.adversarial and options.wrong:
        raise UserError("--adversarial: does not grade the answers that --wrong is about; leave one of the two out")
    wrong = agreement.matching_systems(recorded, options.wrong)
    if options.adversarial:
        recorded = agreement.adversarial_answers(recorded)
    if options.out:
        verdict_file.require_writable(options.out, besides=options.verdicts)
    prepared = prepare_agreement(recorded, given(options))
    say(f"judge     {prepared.why}", err=True)
    form = "answers {bar:24} {n_fmt:>6}/{total_fmt} {elapsed}<{remaining}"
    with tqdm(total=len(recorded), bar_format=form, disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
        answers = prepared.grade(bar.update)
    for role, usage in prepared.usage.items():
        say(
            f"{role}: {usage['calls']:,.0f} calls, {usage['cached']:,.0f} from the cache, ${usage['cost_usd']:.4f}",
            err=True,
        )
    if options.out:
        verdict_file.write_verdicts(options.out, answers)
    judge = prepared.settings.judge
    if options.adversarial:
        print_tables(
            [agreement_tables.make_adversarial_table(answers, judge)], notes=agreement_tables.ADVERSARIAL_NOTES
        )
    else:
        tables = agreement_tables.make_tables(answers, wrong, judge)
        print_tables(tables, notes=agreement_tables.make_notes(tables, judge, sha256, wrong=bool(wrong)))
    return _report_errors([answer for answer in answers if answer.error])


def _report_errors(errors: Sequence[GradedAnswer]) -> int:
    if not errors:
        return DONE
    say(
        f"engram-eval: {plural(len(errors), 'answer')} could not be graded, the first "
        f"({errors[0].recorded.question.id}): {errors[0].error}; the same command asks for them again and takes the "
        "others from the cache",
        err=True,
    )
    return SOME_ERRORED
