"""The regression gate: a run's scores, held question by question against those of a baseline, by rules with a margin.

    [[rule]]
    metric = "evidence_recall"  # see METRICS
    backend = "engram"          # as the baseline names it; "*", the default: each of the baseline
    category = "multi-hop"      # default: the headline categories
    margin = 0.01               # how much worse is let pass, in the metric's own unit, or "5%" of the baseline's mean

A rule fails where the difference and the whole of its 95 % interval are worse than the margin. What cannot be compared
(an empty or unfinished run, other errors, another experiment) is a UserError, and never holds.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engram_eval import __version__
from engram_eval.compare import differences, identity, parts
from engram_eval.errors import UserError
from engram_eval.evidence import ndcg
from engram_eval.paired import FEW, Difference, difference
from engram_eval.results import Record, RunFolder
from engram_eval.stats import newcombe
from engram_eval.text import plural


@dataclass(frozen=True, slots=True)
class Metric:
    """`column`: where it stands in a baseline. `ratio`: the geometric mean of a question's ratios is held, less one."""

    name: str
    column: str
    better: Literal["high", "low"]
    show: Callable[[float], str]
    show_difference: Callable[[float], str]
    ratio: bool = False


def _shares(*names: tuple[str, str]) -> Iterator[Metric]:
    for name, column in names:
        yield Metric(name, column, "high", "{:.3f}".format, "{:+.3f}".format)


METRICS = {
    metric.name: metric
    for metric in (
        *_shares(
            ("accuracy", "correct"),
            ("evidence_recall", "evidence_recall"),
            ("evidence_all", "evidence_all"),
            ("answer_in_context", "answer_in_context"),
            ("ndcg@10", "ndcg@10"),
        ),
        Metric("context_tokens", "context_tokens", "low", "{:,.1f}".format, "{:+,.1f}".format),
        Metric(
            "latency_ratio", "latency_s", "low", lambda s: f"{1000 * s:,.1f} ms", lambda r: f"{100 * r:+.1f}%", ratio=True
        ),
        Metric("cost_usd", "cost_usd", "low", "${:.6f}".format, "{:+.6f}".format),
    )
}  # fmt: skip

_BINARY = ("correct", "evidence_all", "answer_in_context")
_DIGITS = {"context_tokens": 0, "latency_s": 4, "cost_usd": 8}  # of the others, shares, 4
_SHORTEST_S = 10 ** -_DIGITS["latency_s"]
_HEADLINE, _CATEGORIES = "choice of headline categories", "choice of categories"


# --- scores -----------------------------------------------------------------------------------------------------

Line = tuple[float | None, ...]
"""One question of one backend, in the order of `Scores.columns`."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A run, or a baseline: all that a rule may be about. A question that ended in an error has no line but None."""

    where: str
    version: str
    experiment: Mapping[str, Any]
    columns: tuple[str, ...]
    questions: Mapping[str, tuple[str, str]]
    """Conversation and category by question id."""
    settings: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, Mapping[str, Line | None]]
    """By backend and question id."""

    def has(self, column: str, backend: str, *, but_0: bool = False) -> bool:
        """Whether the column is known of a question; `but_0`: and is not 0."""
        if column not in self.columns:
            return False
        at = self.columns.index(column)
        values = [line[at] for line in self.lines[backend].values() if line]
        return any(values) if but_0 else any(value is not None for value in values)


def scores(folder: RunFolder, *, controls: bool, latency: bool) -> Scores:
    """Of a whole run, rounded as a baseline is. Raises UserError for one that is empty or not finished."""
    manifest = folder.manifest()
    columns = tuple(metric.column for metric in METRICS.values() if latency or metric.column != "latency_s")
    expected = manifest["dataset"]["questions"]
    questions: dict[str, tuple[str, str]] = {}
    lines: dict[str, dict[str, Line | None]] = {label: {} for label in manifest["backends"]}
    for record in folder.records():
        if record.backend in lines:
            questions[record.question_id] = record.conversation_id, record.category
            lines[record.backend][record.question_id] = _line(record, manifest, columns)
    if not questions:
        raise UserError(f"{folder.path}: holds no answers; run it again, an empty run holds nothing")
    for label, answered in lines.items():
        if len(answered) != expected or len(questions) != expected:
            raise UserError(
                f"{folder.path}: is not finished, {label} has {len(answered):,} of {plural(expected, 'question')}; "
                "finish it with --resume"
            )
    for label, answered in lines.items():
        if not any(answered.values()):
            raise UserError(
                f"{folder.path}: every question of {label} ended in an error; mend it and finish with --resume"
            )
    kept = {
        label: facts["settings"]
        for label, facts in manifest["backends"].items()
        if controls or not (facts["control"] or facts["sees_evidence"])
    }
    if not kept:
        raise UserError(f"{folder.path}: holds controls alone; run a memory beside them")
    ordered = sorted(questions, key=_in_order)
    return Scores(
        str(folder.path), manifest.get("engram_eval", "unknown"), identity(manifest), columns,
        {question: questions[question] for question in ordered}, kept,
        {label: {question: lines[label][question] for question in ordered} for label in kept},
    )  # fmt: skip


def _line(record: Record, manifest: Mapping[str, Any], columns: Sequence[str]) -> Line | None:
    if record.status != "ok" or record.correct is None:
        return None
    # Where the right answer is to abstain, the evidence labels name what baits (see `metrics`).
    answerable = not record.unanswerable
    ranked = answerable and manifest["backends"][record.backend]["limit"] == "budget" and record.retrieved
    values: dict[str, float | None] = {
        "correct": record.correct,
        "evidence_recall": record.evidence_recall if answerable else None,
        "evidence_all": record.evidence_all if answerable else None,
        "answer_in_context": record.answer_in_context if answerable else None,
        "ndcg@10": ndcg(record.retrieved, record.evidence) if ranked else None,
        "context_tokens": record.context_tokens,
        "cost_usd": record.cost_usd,
        "latency_s": None if record.answer_s is None else (record.recall_s or 0.0) + record.answer_s,
    }
    return tuple(None if (value := values[name]) is None else _rounded(name, value) for name in columns)


def _rounded(column: str, value: float) -> float:
    """A whole number as one, so that a baseline reads `1` and not `1.0`."""
    rounded = round(float(value), _DIGITS.get(column, 4))
    return int(rounded) if rounded.is_integer() else rounded


def _in_order(question_id: str) -> tuple[list[str], str]:
    """q2 before q10."""
    return [part.zfill(20) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", question_id))], question_id


# --- baselines --------------------------------------------------------------------------------------------------


def baseline_json(of: Scores) -> bytes:
    """The same bytes for the same scores, a line a question and backend: made to be read in a diff."""

    def block(values: Mapping[str, Any]) -> str:
        return "{\n" + ",\n".join(f"{_dump(key)}: {_dump(value)}" for key, value in values.items()) + "\n}"

    backends = ",\n".join(
        f'{_dump(label)}: {{"settings": {_dump(of.settings[label])}, "lines": {block(lines)}}}'
        for label, lines in of.lines.items()
    )
    parts = [
        f'"engram_eval": {_dump(__version__)}',
        f'"experiment": {block(of.experiment)}',
        f'"questions": {block(of.questions)}',
        f'"columns": {_dump(of.columns)}',
        f'"backends": {{\n{backends}\n}}',
    ]
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode("utf-8", "backslashreplace")


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_baseline(path: Path) -> Scores:
    """Raises UserError for what is not a baseline of this version."""
    anew = "write it anew with 'engram-eval baseline RUN -o FILE'"
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {anew}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: is not JSON; {anew}") from None
    try:
        columns = tuple(str(name) for name in found["columns"])
        read = Scores(
            str(path), str(found["engram_eval"]), dict(found["experiment"]), columns,
            {question: (str(where), str(what)) for question, (where, what) in found["questions"].items()},
            {label: dict(of["settings"]) for label, of in found["backends"].items()},
            {
                label: {question: _read_line(line, columns) for question, line in of["lines"].items()}
                for label, of in found["backends"].items()
            },
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: is not a baseline of this version ({error}); {anew}") from None
    if "correct" not in columns or set(parts()) != read.experiment.keys() or not read.experiment[_HEADLINE]:
        raise UserError(f"{path}: is not a baseline of this version (it does not say what was measured); {anew}")
    for label, lines in read.lines.items():
        if lines.keys() != read.questions.keys():
            raise UserError(f"{path}: {label} has {len(lines):,} of {plural(len(read.questions), 'question')}; {anew}")
        if not any(lines.values()):
            raise UserError(f"{path}: {label} has no answered question; {anew}")
    if not read.questions or not read.lines:
        raise UserError(f"{path}: holds no scores; {anew}")
    return read


def _told(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """What is not known of one and known of the other differs."""
    return {part: "unknown" if value is None else value for part, value in experiment.items()}


def _read_line(line: Any, columns: Sequence[str]) -> Line | None:
    if line is None:
        return None
    good = len(line) == len(columns) and all(
        value is None
        or (
            isinstance(value, int | float)
            and 0 <= value < math.inf
            and (value <= 1 or column in _DIGITS)  # what is no length, time or money is a share
        )
        for column, value in zip(columns, line, strict=True)
    )
    if not good:
        raise ValueError(f"a line of scores is {_dump(line):.60}")
    return tuple(line)


def write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another file") from None


# --- rules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """`margin` in the metric's own unit, or if `relative` a share of the baseline's mean. `where`: for messages."""

    metric: Metric
    backend: str
    category: str | None
    margin: float
    relative: bool
    where: str

    def __str__(self) -> str:
        margin = f"{100 * self.margin:g}%" if self.relative else f"{self.margin:g}"
        return f"{self.metric.name}{f' of {self.category}' if self.category else ''} within {margin}"


def default_rules(before: Scores) -> list[Rule]:
    """Of what the baseline holds: two points of accuracy and evidence recall, 5 % of tokens, 10 % of cost, half of latency.

    Nothing of a cost where nothing cost anything.
    """
    margins: dict[str, float | str] = {
        "accuracy": 0.02, "evidence_recall": 0.02, "context_tokens": "5%", "cost_usd": "10%", "latency_ratio": 0.5,
    }  # fmt: skip
    return [
        _rule({"metric": name, "margin": margin}, "the default rules")
        for name, margin in margins.items()
        if any(before.has(METRICS[name].column, label, but_0=name == "cost_usd") for label in before.lines)
    ]


def read_rules(path: Path) -> list[Rule]:
    """Raises UserError, naming the rule, for whatever is not understood."""
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); see benchmarks/check.toml for an example"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: is not TOML ({error}); see benchmarks/check.toml for an example") from None
    rules = found.get("rule")
    if not isinstance(rules, list) or not rules or found.keys() != {"rule"}:
        raise UserError(f"{path}: holds no rules, or more than rules; write each as a table [[rule]]")
    return [_rule(values, f"{path}: rule {number}") for number, values in enumerate(rules, start=1)]


def _rule(values: Any, where: str) -> Rule:
    known = ("metric", "backend", "category", "margin")
    if not isinstance(values, dict) or (unknown := values.keys() - set(known)):
        what = f"has no {', '.join(sorted(unknown))}" if isinstance(values, dict) else "is no table"
        raise UserError(f"{where}: a rule {what}; its keys are {', '.join(known)}")
    if not isinstance(values.get("metric"), str) or values["metric"] not in METRICS:
        raise UserError(f"{where}: metric = {values.get('metric')!r} is none of {', '.join(METRICS)}")
    for key in ("backend", "category"):
        if not isinstance(values.get(key, ""), str):
            raise UserError(f"{where}: {key} = {values[key]!r} is not text; name one, or leave it out")
    margin, relative = values.get("margin"), False
    if isinstance(margin, str) and (share := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", margin)):
        margin, relative = float(share[1]) / 100, True
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf:
        raise UserError(f'{where}: margin = {margin!r} is not a number from 0, nor a share such as "5%"')
    metric = METRICS[values["metric"]]
    if margin >= 1 and not relative and not metric.ratio and metric.column not in _DIGITS:
        raise UserError(f'{where}: margin = {margin!r} of a share lets everything pass; one point is 0.01, or say "5%"')
    return Rule(metric, values.get("backend", "*"), values.get("category"), margin, relative, where)


# --- the gate ---------------------------------------------------------------------------------------------------

Outcome = Literal["holds", "FAILS", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, held for one backend. `now` against `before`, as means; `difference` has its sign from now - before.

    `margin` in the unit of the difference. `better`: by more than the margin, and its interval says so too.
    """

    rule: Rule
    backend: str
    before: float
    now: float
    difference: Difference
    margin: float
    outcome: Outcome
    better: bool


def hold(
    now: Scores, before: Scores, rules: Sequence[Rule], names: Mapping[str, str], *, seed: int = 0
) -> list[Finding]:
    """Each rule for each backend that it is about; `names`: what a backend of the baseline is called in the run.

    Raises UserError for what cannot be compared.
    """
    if unlike := differences({of.where: _told(of.experiment) for of in (now, before)}):
        raise UserError(
            f"{now.where} and {before.where} do not compare: {'; '.join(unlike)}; check a run of the same experiment, or "
            "write the baseline anew"
        )
    if now.questions != before.questions:
        common = len(now.questions.items() & before.questions.items())
        raise UserError(
            f"{now.where} and {before.where} do not compare: {common:,} of {plural(len(before.questions), 'question')} of "
            f"the baseline are among the run's {len(now.questions):,}; check a run of the same questions"
        )
    for base, name in names.items():
        if base not in before.lines or name not in now.lines:
            where, has = (before, base) if base not in before.lines else (now, name)
            raise UserError(
                f"--backend-map {name}={base}: {where.where} has no {has!r}; it has {', '.join(where.lines)}"
            )
    asked = [(rule, base) for rule in rules for base in _backends(rule, before)]
    for base in dict.fromkeys(base for _, base in asked):
        _require_answers(now, before, names.get(base, base), base)
    return [_find(rule, names.get(base, base), base, now, before, seed) for rule, base in asked]


def _backends(rule: Rule, before: Scores) -> list[str]:
    """The baseline's names of those that a rule is about: of `*`, those for which the metric is known."""
    wanted = list(before.lines) if rule.backend == "*" else [rule.backend]
    if rule.backend != "*" and rule.backend not in before.lines:
        raise UserError(
            f"{rule.where}: {before.where} has no backend {rule.backend!r}; it has {', '.join(before.lines)}"
        )
    known = [base for base in wanted if before.has(rule.metric.column, base)]
    if not known:
        latency = "; write it with --with-latency" if rule.metric.ratio else "; leave the rule out"
        raise UserError(f"{rule.where}: {before.where} holds no {rule.metric.name} of {', '.join(wanted)}{latency}")
    categories = before.experiment[_CATEGORIES]
    if rule.category is not None and rule.category not in categories:
        raise UserError(f"{rule.where}: category = {rule.category!r} is none of {', '.join(categories)}")
    return known


def _require_answers(now: Scores, before: Scores, name: str, base: str) -> None:
    if name not in now.lines:
        raise UserError(
            f"{now.where}: has no backend {base!r}, which {before.where} holds; run it too, or name another for it with "
            f"--backend-map NAME={base}"
        )
    errors = [q for q, line in now.lines[name].items() if line is None and before.lines[base][q] is not None]
    if errors:
        raise UserError(
            f"{now.where}: {plural(len(errors), 'question')} of {name} ended in an error and not in the baseline "
            f"({errors[0]}{' …' if len(errors) > 1 else ''}); ask them again with --resume"
        )


def _find(rule: Rule, name: str, base: str, now: Scores, before: Scores, seed: int) -> Finding:
    metric = rule.metric
    wanted: Collection[str] = [rule.category] if rule.category is not None else before.experiment[_HEADLINE]
    at_now, at_before = now.columns.index(metric.column), before.columns.index(metric.column)
    pairs: list[tuple[float, float]] = []
    conversations: list[str] = []
    for question, (conversation, category) in before.questions.items():
        line, old_line = now.lines[name][question], before.lines[base][question]
        if category not in wanted or line is None or old_line is None or (old := old_line[at_before]) is None:
            continue
        new = line[at_now]
        if new is None:
            raise UserError(
                f"{rule.where}: {now.where} holds no {metric.name} of {name} at {question}, and {before.where} does; "
                "look at its records"
            )
        pairs.append((new, old))
        conversations.append(conversation)
    if not pairs:
        raise UserError(
            f"{rule.where}: no question of {', '.join(wanted)} has a {metric.name} of {name} in both {now.where} and "
            f"{before.where}; leave the rule out"
        )
    mean_now, mean_before = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    found = _difference(metric, pairs, conversations, seed)
    margin = rule.margin * abs(mean_before) if rule.relative and not metric.ratio else rule.margin
    sign = -1 if metric.better == "high" else 1
    loss = sign * found.mean
    losses = sorted(sign * end for end in found.interval) if found.interval else [-math.inf, math.inf]
    outcome: Outcome = "holds" if loss <= margin else "FAILS" if losses[0] > margin else "cannot tell"
    return Finding(rule, name, mean_before, mean_now, found, margin, outcome, losses[1] < -margin)


def _difference(
    metric: Metric, pairs: Sequence[tuple[float, float]], conversations: Sequence[str], seed: int
) -> Difference:
    """Exactly 0, and sure of it, where every question came out as before: a deterministic run asked again."""
    if metric.ratio:
        logs = [math.log(max(new, _SHORTEST_S) / max(old, _SHORTEST_S)) for new, old in pairs]
        found = difference(logs, conversations, seed=seed)
        ends = found.interval and (math.expm1(found.interval[0]), math.expm1(found.interval[1]))
        return Difference(math.expm1(found.mean), ends, found.n, found.rough)
    values = [new - old for new, old in pairs]
    least = None
    if not any(values):
        least = (0.0, 0.0)
    elif metric.column in _BINARY:
        least = newcombe(*(sum(pair == cell for pair in pairs) for cell in ((1, 1), (1, 0), (0, 1), (0, 0))))
    return difference(values, conversations, seed=seed, least=least)


def remarks(findings: Sequence[Finding], now: Scores, before: Scores, names: Mapping[str, str]) -> list[str]:
    """What a reader of the lines must know beside them."""
    said = []
    for base in before.lines:
        old, new = before.settings[base], now.settings.get(names.get(base, base), {})
        changed = [
            f"{key} was {old.get(key)} and is {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)
        ]
        if changed and base not in names and base in now.lines:
            said.append(f"{base}: its settings differ from the baseline's ({', '.join(changed)}).")
        if errors := sum(line is None for line in before.lines[base].values()):
            said.append(f"{base}: {plural(errors, 'question')} ended in an error in the baseline and cannot be held.")
    if any(finding.difference.rough for finding in findings):
        said.append(
            f"The intervals are rough: of fewer than {FEW} conversations, questions are drawn as if each stood for itself."
        )
    if any(finding.outcome == "cannot tell" for finding in findings):
        said.append(
            "Cannot tell: worse than the margin, but not surely so; it does not fail, and more questions would tell."
        )
    if better := list(dict.fromkeys(finding.backend for finding in findings if finding.better)):
        said.append(
            f"Better than the baseline by more than the margin: {', '.join(better)}; write it anew to hold that too."
        )
    return said
