"""Prepares a run: new or resumed, of memories or of recorded answers. Everything that can be refused is refused here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder, default_folder
from engram_eval.results.manifest import Manifest
from engram_eval.results.provenance import provenance
from engram_eval.results.summary import Summary
from engram_eval.run.answer_file import Answers, read_answers
from engram_eval.run.extensions import Extensions
from engram_eval.run.lifecycle import run_to_completion
from engram_eval.run.plan import EarlierWork, Plan, plan_grading, plan_run
from engram_eval.run.resume import new_settings, refuse_other_run, resumed_settings
from engram_eval.run.settings import GivenSettings


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A plan and the folder for its records, which a new run has not created yet."""

    plan: Plan
    folder: RunFolder
    resumed: bool

    def start(self, *, show_progress: bool = False, debug: bool = False, keep_memories: bool = False) -> Summary:
        """Creates the folder if the run is new, and runs the plan to its end."""
        if not self.resumed:
            self.folder.create(Manifest.of(self.plan.experiment, **provenance()))
        return run_to_completion(
            self.plan, self.folder, show_progress=show_progress, debug=debug, keep_memories=keep_memories
        )


def prepare_run(
    given: GivenSettings,
    *,
    experiment: Path | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    extensions: Extensions | None = None,
    dry: bool = False,
) -> PreparedRun:
    """Prepares a run of memories. `given`: settings, which override those of the `experiment` file."""
    if resume is None:
        plan = plan_run(new_settings(experiment, given), extensions, dry=dry)
        return PreparedRun(
            plan, RunFolder(out or default_folder(plan.dataset.benchmark.name, make=not dry)), resumed=False
        )
    if out or experiment:
        raise UserError("--resume continues a run as it was started: leave --out and the experiment file out")
    folder = RunFolder(resume)
    manifest = folder.manifest()
    _refuse_rejudged(manifest, resume)
    if manifest.has_recorded_answers:
        raise UserError(f"{resume}: holds graded answers; finish it with 'engram-eval judge --resume {resume}'")
    settings = resumed_settings(manifest, resume, given)
    plan = plan_run(settings, extensions, earlier=earlier_work(folder, manifest), dry=dry)
    refuse_other_run(manifest, plan.experiment, resume)
    return PreparedRun(plan, folder, resumed=True)


def prepare_grading(
    answers: Path | Answers | None,
    given: GivenSettings,
    *,
    name: str | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    extensions: Extensions | None = None,
) -> PreparedRun:
    """Prepares the grading of answers made elsewhere. `name`: what they are called in the tables."""
    given = _without_reader(given)
    if resume is not None:
        return _resume_grading(answers, given, name, out, resume, extensions)
    if not answers:
        raise UserError(
            "judge: no file of answers is given; for example: engram-eval judge answers.jsonl --dataset locomo"
        )
    if not given.get("dataset") and not given.get("data"):
        raise UserError("judge: name what was answered with --dataset, such as locomo, or its file with --data")
    label = name or (answers.stem if isinstance(answers, Path) else "answers")
    settings = new_settings(None, {"backends": [label], "controls": False, **given})
    plan = plan_grading(settings, _read(answers), label, extensions)
    return PreparedRun(plan, RunFolder(out or default_folder(plan.dataset.benchmark.name)), resumed=False)


def _resume_grading(
    answers: Path | Answers | None,
    given: GivenSettings,
    name: str | None,
    out: Path | None,
    resume: Path,
    extensions: Extensions | None,
) -> PreparedRun:
    if out:
        raise UserError("--resume continues in the folder of the run: leave --out out")
    folder = RunFolder(resume)
    manifest = folder.manifest()
    _refuse_rejudged(manifest, resume)
    if not manifest.has_recorded_answers:
        raise UserError(f"{resume}: holds a run of memories; finish it with 'engram-eval run --resume {resume}'")
    settings = resumed_settings(manifest, resume, given)
    answers = _read(answers or Path(manifest.reader.origin or ""))
    label = name or next(iter(manifest.backends))
    plan = plan_grading(settings, answers, label, extensions, earlier=earlier_work(folder, manifest))
    refuse_other_run(manifest, plan.experiment, resume)
    return PreparedRun(plan, folder, resumed=True)


def earlier_work(folder: RunFolder, manifest: Manifest) -> EarlierWork:
    started = datetime.fromisoformat(manifest.started).timestamp() if manifest.started else None
    return EarlierWork(folder.spent_usd(), started)


def _refuse_rejudged(manifest: Manifest, run: Path) -> None:
    if manifest.rejudged_from is not None:
        raise UserError(
            f"{run}: holds answers of {manifest.rejudged_from} that were judged again; finish it with "
            f"'engram-eval rejudge --resume {run.absolute().parent}'"
        )


def _read(answers: Path | Answers) -> Answers:
    return read_answers(answers) if isinstance(answers, Path) else answers


def _without_reader(given: GivenSettings) -> dict[str, object]:
    """Only the judge may call a model: if its model is named, no endpoint need be asked for another."""
    values = {**given, "reader": "offline"}
    model = values.get("model") or values.get("judge_model")
    return {**values, **({"model": model} if model else {})}
