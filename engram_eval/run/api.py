"""The functions of `import engram_eval` that make and load runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.errors import UserError
from engram_eval.run.answer_file import answers_from_mapping
from engram_eval.run.extensions import Extensions
from engram_eval.run.finished import Run
from engram_eval.run.prepare import prepare_grading, prepare_run
from engram_eval.system.event_loop import outside_event_loop

if TYPE_CHECKING:
    import pandas as pd

    from engram_eval.backends.backend import MemoryBackend
    from engram_eval.embedders.embedder import Embedder
    from engram_eval.judges.judge import Judge
    from engram_eval.readers.reader import Reader
    from engram_eval.run.rejudge import JudgeChoice
    from engram_eval.run.rejudged import Rejudged

    BackendArgument = str | type | MemoryBackend
    BackendArguments = Sequence[BackendArgument] | Mapping[str, BackendArgument]
    ReaderArgument = str | Reader | Callable[..., Reader]
    JudgeArgument = str | Judge | Callable[..., Judge]

PathLike = str | os.PathLike[str]
_BACKENDS = "a backend is a name, NAME:PRESET, package.module:Class, a class or an instance"


def evaluate(
    *,
    dataset: str | None = None,
    data: PathLike | None = None,
    backends: BackendArguments | None = None,
    reader: ReaderArgument | None = None,
    judge: JudgeArgument | None = None,
    embedder: str | Embedder | None = None,
    experiment: PathLike | None = None,
    out: PathLike | None = None,
    resume: PathLike | None = None,
    keep_memories: bool = False,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Runs a benchmark against memory backends, and returns the finished run.

    `backends`: names (`"engram"`, `"engram:dense"`, `"package.module:Class"`), addresses (`"http://localhost:9000"`), classes
    and instances. An instance or a class is labelled by its `name` or its class's name; a dict {label: backend} names each.
    `reader` and `judge`: a name, an instance, or a class or function that is called with `RoleServices`. `settings`: the other
    settings of `engram-eval run` (budget=916, limit=50, model="gpt-4o-mini", max_cost=5.0, options={"engram.k": "20"} …), which
    override those of the `experiment` file. `out`: the run's folder (default: results/DATASET-TIME). `resume`: the folder of
    an interrupted run to finish.

    Works in a notebook. Prints nothing unless `progress`. Errors of single questions are in `Run.errors`; raises UserError
    for bad input, and for a fault after which no further call can succeed (the run can then be resumed).
    """
    given, extensions = _split(backends, reader, judge, embedder)
    given |= {**settings, **_present(dataset=dataset, data=_text(data))}

    def work() -> Run:
        prepared = prepare_run(
            given, experiment=_path(experiment), out=_path(out), resume=_path(resume), extensions=extensions
        )
        prepared.start(show_progress=progress, keep_memories=keep_memories)
        return Run(prepared.folder.path)

    return outside_event_loop(work)


def grade(
    answers: PathLike | Mapping[str, str] | None = None,
    *,
    dataset: str | None = None,
    data: PathLike | None = None,
    judge: JudgeArgument | None = None,
    name: str | None = None,
    out: PathLike | None = None,
    resume: PathLike | None = None,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Grades answers that were made elsewhere, as a run like any other.

    `answers`: a file as `engram-eval judge` reads it, or a mapping from question id to answer. `name`: what they are called
    in the tables. A question without an answer is an error, never a wrong answer. The other arguments are those of `evaluate`.
    """
    given, extensions = _split(None, None, judge, None)
    given |= {**settings, **_present(dataset=dataset, data=_text(data))}

    def work() -> Run:
        source = answers_from_mapping(answers) if isinstance(answers, Mapping) else _path(answers)
        prepared = prepare_grading(
            source, given, name=name, out=_path(out), resume=_path(resume), extensions=extensions
        )
        prepared.start(show_progress=progress)
        return Run(prepared.folder.path)

    return outside_event_loop(work)


def rejudge(
    run: PathLike | None = None,
    judges: Sequence[JudgeArgument] | Mapping[str, JudgeArgument | Mapping[str, Any]] = (),
    *,
    out: PathLike | None = None,
    resume: PathLike | None = None,
    progress: bool = False,
    **settings: Any,
) -> Rejudged:
    """Judges the stored answers of a run again, by several judges, and compares these with each other and the run's own.

    `judges`: names (`"offline"`, `"llm:strict"`, `"llm@gpt-4o"`), instances, classes or functions of `RoleServices`; or a dict
    {label: judge}, in which a judge may also be a dict of settings: `{"judge": "llm", "judge_prompt": "judge.toml"}`.
    `settings`: of all judges, over those of the run, such as model, base_url, max_cost or data (if the data has moved).
    `out`: the folder of the verdicts; `resume`: that of an interrupted rejudging, with its judges only if they are objects.

    No memory and no reader is asked. An answer that a judge fails on is an error, never a wrong answer.
    """
    from engram_eval.run.rejudge import prepare_rejudging
    from engram_eval.run.rejudged import Rejudged

    choices = _judge_choices(judges)

    def work() -> Rejudged:
        prepared = prepare_rejudging(_path(run), choices, settings, out=_path(out), resume=_path(resume))
        comparison = prepared.start(show_progress=progress)
        runs = {label: Run(judging.folder.path) for label, judging in prepared.judges.items()}
        return Rejudged(prepared.folder, runs, comparison)

    return outside_event_loop(work)


def load(*runs: PathLike) -> pd.DataFrame:
    """The records of runs as a data frame, one row per backend and question; see `engram_eval.metrics.dataframe.load`."""
    from engram_eval.metrics import dataframe  # pandas takes a while to import

    return dataframe.load(*(Path(run) for run in runs))


# --- objects in place of names ----------------------------------------------------------------------------------


def _split(
    backends: BackendArguments | None,
    reader: ReaderArgument | None,
    judge: JudgeArgument | None,
    embedder: str | Embedder | None,
) -> tuple[dict[str, object], Extensions]:
    """The settings that name extensions, and the objects given in place of names."""
    given: dict[str, object] = {
        role: _label(value)
        for role, value in (("reader", reader), ("judge", judge), ("embedder", embedder))
        if value is not None
    }
    objects: dict[str, type | MemoryBackend] = {}
    if backends is not None:
        given["backends"], objects, variants = _backends(backends)
        if variants:
            given["variants"] = variants
    return given, Extensions(
        backends=objects,
        reader=None if isinstance(reader, str) else reader,
        judge=None if isinstance(judge, str) else judge,
        embedder=None if isinstance(embedder, str) else embedder,
    )


def _judge_choices(
    judges: Sequence[JudgeArgument] | Mapping[str, JudgeArgument | Mapping[str, Any]],
) -> list[JudgeChoice]:
    from engram_eval.run.rejudge import JudgeChoice, named_judge

    if isinstance(judges, str | bytes) or not isinstance(judges, Mapping | Sequence):
        raise UserError(f"judges: {judges!r:.80} is not a list; give a list or a dict, even of one judge")
    pairs = judges.items() if isinstance(judges, Mapping) else [(_label(judge), judge) for judge in judges]
    choices = []
    for label, judge in pairs:
        if isinstance(judge, str):
            choices.append(JudgeChoice(label, named_judge(judge).settings))
        elif isinstance(judge, Mapping):
            choices.append(JudgeChoice(label, judge))
        else:
            choices.append(JudgeChoice(label, {"judge": _label(judge)}, judge))
    return choices


def _backends(
    backends: BackendArguments,
) -> tuple[list[str], dict[str, type | MemoryBackend], dict[str, dict[str, str]]]:
    """Labels in order, objects by label, and variants: names that were given another label."""
    if isinstance(backends, str | bytes) or not isinstance(backends, Mapping | Sequence):
        raise UserError(f"backends: {backends!r:.80} is not a list; give a list or a dict, even of one backend")
    pairs = list(backends.items()) if isinstance(backends, Mapping) else [(_label(b), b) for b in backends]
    labels = [label for label, _ in pairs]
    objects: dict[str, type | MemoryBackend] = {}
    variants: dict[str, dict[str, str]] = {}
    for label, backend in pairs:
        if labels.count(label) > 1:
            raise UserError(f"backends: two are called {label!r}; name them with a dict {{label: backend}}")
        if not isinstance(backend, str):
            if not callable(getattr(backend, "open", None)):
                raise UserError(f"backends: {label!r} is {type(backend).__name__}; {_BACKENDS}")
            objects[label] = backend
        elif backend != label:
            variants[label] = {"backend": backend}
    return labels, objects, variants


def _label(value: object) -> str:
    """A name as it is; otherwise the `name` of an instance, or the name of a class."""
    if isinstance(value, str):
        return value
    name = getattr(value, "name", None) if not isinstance(value, type) else None
    return name if isinstance(name, str) else getattr(value, "__name__", type(value).__name__)


def _present(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
