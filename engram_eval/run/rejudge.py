"""Judges the stored answers of a run again, by several judges side by side. No memory and no reader is asked.

Each judge has a folder of its own, which is a run like any other: `compare`, `failures` and `report` read it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.compare.experiment import identity
from engram_eval.compare.judge_comparison import JudgeComparison, compare_judges
from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder, default_folder
from engram_eval.results.manifest import Experiment, Manifest
from engram_eval.results.provenance import provenance
from engram_eval.results.rejudging import Rejudging, holds_rejudging, read_rejudging, write_rejudging
from engram_eval.run.extensions import Extensions
from engram_eval.run.lifecycle import run_to_completion
from engram_eval.run.plan import Plan, plan_rejudging
from engram_eval.run.prepare import earlier_work
from engram_eval.run.resume import new_settings, refuse_other_run, resumed_settings
from engram_eval.run.settings import GivenSettings
from engram_eval.run.stored_answers import StoredAnswers, stored_answers
from engram_eval.system.files import write_file

FLIPS = "flips.jsonl"
_JUDGE_PARTS = ("judge", "judge_model", "judge_votes", "judge_prompts")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class JudgeChoice:
    """A judge that is to judge again: its label, the settings that differ from the run's, and an object in place of a name."""

    label: str
    settings: GivenSettings
    judge: Any = None


def named_judge(text: str) -> JudgeChoice:
    """`NAME`, `NAME:VARIANT` or `package.module:Class`, with `@MODEL` for a model of its own. Raises UserError."""
    name, at, model = text.partition("@")
    if at and (not model or not name):
        raise UserError(f"--judge {text}: not of the form NAME@MODEL, as in llm@gpt-4o")
    if at and name == "offline":
        raise UserError(f"--judge {text}: the offline judge has no model; name --judge offline")
    return JudgeChoice(text, {"judge": name, **({"judge_model": model} if model else {})})


def judge_with_prompt(file: Path) -> JudgeChoice:
    """The LLM judge with the user's own prompt."""
    return JudgeChoice(f"llm with {file.name}", {"judge": "llm", "judge_prompt": str(file)})


@dataclass(frozen=True, slots=True)
class _Judging:
    """One judge, ready to start. `stored`: the manifest if its folder is there already."""

    plan: Plan
    folder: RunFolder
    stored: Manifest | None


@dataclass(frozen=True, slots=True)
class PreparedRejudging:
    """The judges in order, by label, and `folder` for their verdicts. `run`: whose answers they judge.

    `own`: the run itself by its judge's label, to be compared too; empty if one of the judges is the same.
    """

    run: Path
    folder: Path
    judges: Mapping[str, _Judging]
    max_cost: float | None
    own: Mapping[str, Path]

    @property
    def why(self) -> dict[str, str]:
        """What was chosen, in words."""
        judges = {label: "; ".join(judging.plan.why.values()) for label, judging in self.judges.items()}
        return {"run": str(self.run), **judges, "out": str(self.folder)}

    def start(self, *, show_progress: bool = False, debug: bool = False) -> JudgeComparison:
        """Judges every answer that has no verdict yet, one judge after the other, and writes what they differ on."""
        for judging in self.judges.values():
            if judging.stored is None:
                judging.folder.create(Manifest.of(judging.plan.experiment, **provenance()))
        folders = {label: judging.folder.path for label, judging in self.judges.items()}
        names = {label: path.name for label, path in folders.items()}
        write_rejudging(self.folder, Rejudging(run=str(self.run.absolute()), judges=names))
        for number, (label, judging) in enumerate(self.judges.items(), start=1):
            if show_progress:
                print(f"judge {number} of {len(self.judges)}: {label}", file=sys.stderr, flush=True)
            self._judge(label, judging, show_progress=show_progress, debug=debug)
        comparison = compare_judges({**self.own, **folders})
        lines = (json.dumps(flip.to_json(), ensure_ascii=False) + "\n" for flip in comparison.flips)
        encoded = (line.encode("utf-8", "backslashreplace") for line in lines)
        write_file(self.folder / FLIPS, encoded, fix=f"free some space, then --resume {self.folder}")
        return comparison

    def _judge(self, label: str, judging: _Judging, *, show_progress: bool, debug: bool) -> None:
        spent = ""
        if self.max_cost is not None:
            others = sum(other.folder.spent_usd() for name, other in self.judges.items() if name != label)
            judging.plan.clients.limit_cost(max(0.0, self.max_cost - others))
            spent = f" (the other judges have spent ${others:.4f} of --max-cost ${self.max_cost:g})"
        try:
            run_to_completion(judging.plan, judging.folder, show_progress=show_progress, debug=debug)
        except UserError as error:
            raise UserError(
                f"judge {label}: {error}{spent}; finish it with: engram-eval rejudge --resume {self.folder}"
            ) from error


# --- new and resumed --------------------------------------------------------------------------------------------


def prepare_rejudging(
    run: Path | None,
    judges: Sequence[JudgeChoice],
    given: GivenSettings,
    *,
    out: Path | None = None,
    resume: Path | None = None,
) -> PreparedRejudging:
    """Opens every judge. `given`: settings of all judges, over those of the run. Everything that can be refused is here."""
    if resume is not None:
        return _resume(run, judges, given, out, resume)
    if run is None:
        raise UserError(
            "rejudge: no run is given; for example: engram-eval rejudge results/first --judge llm --judge offline"
        )
    if not judges:
        raise UserError("rejudge: no judge is named; name at least one with --judge or --judge-prompt")
    labels = [choice.label for choice in judges]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"rejudge: two judges are called {label!r}; name each once")
    folder = out or default_folder("rejudged")
    if holds_rejudging(folder):
        raise UserError(
            f"{folder}: holds judged answers already; finish them with --resume {folder}, or name another folder"
        )
    stored = RunFolder(run)
    answers = _answers(stored)
    base = {
        **stored.manifest().settings,
        "judge_prompt": None,
        "judge_probe": False,
        "replay": False,
        "refresh": (),
        "max_cost": None,
    }
    judgings = {}
    for choice, name in zip(judges, _folder_names(labels), strict=True):
        settings = new_settings(None, {**base, **given, **choice.settings})
        plan = plan_rejudging(settings, stored, answers, Extensions(judge=choice.judge))
        judgings[choice.label] = _Judging(plan, RunFolder(folder / name), None)
    return _prepared(run, folder, judgings)


def _resume(
    run: Path | None, judges: Sequence[JudgeChoice], given: GivenSettings, out: Path | None, folder: Path
) -> PreparedRejudging:
    if run or out or any(choice.judge is None for choice in judges):
        raise UserError(
            "--resume continues with the same run and judges: leave the run, --judge, --judge-prompt and --out out"
        )
    objects = {choice.label: choice.judge for choice in judges}
    rejudging = read_rejudging(folder)
    stored = RunFolder(Path(rejudging.run))
    answers, judgings = _answers(stored), {}
    for label, name in rejudging.judges.items():
        own_folder = RunFolder(folder / name)
        manifest = own_folder.manifest()
        settings = resumed_settings(manifest, own_folder.path, given)
        extensions = Extensions(judge=objects.get(label))
        plan = plan_rejudging(settings, stored, answers, extensions, earlier=earlier_work(own_folder, manifest))
        refuse_other_run(manifest, plan.experiment, own_folder.path)
        judgings[label] = _Judging(plan, own_folder, manifest)
    return _prepared(stored.path, folder, judgings)


def _prepared(run: Path, folder: Path, judgings: Mapping[str, _Judging]) -> PreparedRejudging:
    manifest = RunFolder(run).manifest()
    same = any(_judge_of(judging.plan.experiment) == _judge_of(manifest) for judging in judgings.values())
    file = f" with {manifest.judge.prompt_file}" if manifest.judge.prompt_file else ""
    own = {} if same else {f"{manifest.judge.name}{file} (the run's)": run}
    if len(own) + len(judgings) < 2:
        raise UserError(f"rejudge: the run was judged by {manifest.judge.name} already; name another judge beside it")
    settings = next(iter(judgings.values())).plan.settings
    return PreparedRejudging(run, folder, judgings, settings.max_cost, own)


def _answers(run: RunFolder) -> dict[str, StoredAnswers]:
    """The stored answers by backend. Raises UserError if there are none."""
    answers = stored_answers(run)
    if not any(record.answer is not None for of_backend in answers.values() for record in of_backend.records.values()):
        raise UserError(f"{run.path}: has no answer to judge; finish the run with --resume {run.path}")
    return answers


def _judge_of(experiment: Experiment) -> dict[str, Any]:
    return {part: value for part, value in identity(experiment).items() if part in _JUDGE_PARTS}


def _folder_names(labels: Sequence[str]) -> list[str]:
    """A folder's name for each label, without separators; those that would be equal are numbered."""
    names: list[str] = []
    for label in labels:
        base = _NOT_IN_NAMES.sub("-", label).strip(".-")[:80] or "judge"
        name, number = base, 2
        while name.lower() in map(str.lower, names):
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names
