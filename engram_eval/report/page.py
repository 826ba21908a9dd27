"""Renders the report: finished runs as one HTML page that loads nothing from the network.

`data` turns records into columns, `charts` draws, `template.html.j2` lays out the page, and `page.js` makes its question
table searchable. What datasets and models wrote is untrusted: the template escapes it, the script sets it as text, and the
page's content security policy allows no other script and no request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval import __version__
from engram_eval.compare.comparison import Comparison
from engram_eval.compare.notes import EXPLANATORY
from engram_eval.compare.rows import run_names
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import LabelErrors
from engram_eval.report.data import page_data
from engram_eval.report.text import label
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import JudgeInfo, Manifest, ReaderInfo
from engram_eval.system.files import check_writable, write_file
from engram_eval.tables.note import Note
from engram_eval.tables.text import plural, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def write_report(
    folders: Sequence[RunFolder], comparison: Comparison, path: Path, *, label_errors: LabelErrors | None = None
) -> int:
    """Writes the page, whole or not at all, over a file that exists; returns its size in bytes.

    `comparison` is that of the folders, and `label_errors` those that it was made with. Raises UserError if the file cannot
    be written or a package is missing.
    """
    fix = "name another file with -o"
    check_writable(path, fix=fix)  # before the work of rendering
    page = render(folders, comparison, label_errors=label_errors).encode()
    write_file(path, page, fix=fix)
    return len(page)


def render(folders: Sequence[RunFolder], comparison: Comparison, *, label_errors: LabelErrors | None = None) -> str:
    """The page as HTML. Arguments and errors are those of `write_report`."""
    try:
        from markupsafe import Markup

        from engram_eval.report.charts import charts, sweep_charts

        environment = _environment()
    except ImportError as error:
        raise UserError(
            f"the report needs the package {error.name}; install it with: pip install 'engram_eval[report]'"
        ) from None
    folders = list({str(folder.path): folder for folder in folders}.values())
    data = page_data(folders, comparison, label_errors=label_errors)
    drawn = [
        *charts(data.backends, _categories(comparison)),
        *sweep_charts(comparison.rows, run_names(list(comparison.manifests))),
    ]
    script, style = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.js", "style.css"))
    return environment.get_template("template.html.j2").render(
        title=" · ".join(dict.fromkeys(summary.dataset.name for summary in comparison.summaries.values())),
        version=__version__,
        data_lines=comparison.data_lines,
        notes=[note for note in comparison.notes if not _is_explanatory(note)],
        explanations=[note for note in comparison.notes if _is_explanatory(note)],
        badges=_badges(comparison),
        tables=comparison.tables,
        charts=[{"chart": chart, "wide": Markup(chart.wide), "narrow": Markup(chart.narrow)} for chart in drawn],
        runs=_run_sections(comparison),
        questions=data.questions,
        backends=len(data.backends),
        table_data=data.table,
        details_data=data.details,
        style=Markup(style),
        script=Markup(script),
        policy=_content_security_policy(script, style),
    )


def _environment() -> Environment:
    """Escapes all text, and marks characters in it that act unseen."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("engram_eval", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["short"] = label
    return environment


def _categories(comparison: Comparison) -> list[str]:
    """The headline categories first, as in the table."""
    datasets = [summary.dataset for summary in comparison.summaries.values()]
    headline = [category for dataset in datasets for category in dataset.headline]
    return list(dict.fromkeys([*headline, *(category for dataset in datasets for category in dataset.categories)]))


def _is_explanatory(note: Note) -> bool:
    """Whether the page may fold the note away."""
    return note.kind in EXPLANATORY


@dataclass(frozen=True, slots=True)
class Badge:
    """A short warning at the top of the page; the notes explain it. `kind` is a CSS class."""

    kind: str
    text: str


def _badges(comparison: Comparison) -> list[Badge]:
    summaries = comparison.summaries.values()
    badges = []
    if comparison.mismatches:
        badges.append(Badge("bad", "these runs are not comparable"))
    offline = [summary.judge.name == "offline" for summary in summaries]
    if any(offline):
        some = "" if all(offline) else "some "
        badges.append(Badge("warn", f"{some}scores by the offline judge: not LLM-judge scores"))
    judges = sorted({summary.judge.name for summary in summaries} - {"offline"})
    badges += [Badge("plain", f"judge: {name}") for name in judges]
    if errors := sum(row.summary.errors for row in comparison.rows):
        badges.append(Badge("warn", f"{plural(errors, 'answer')} ended in an error"))
    if not all(summary.complete for summary in summaries):
        badges.append(Badge("warn", "unfinished: only the questions so far"))
    return badges


@dataclass(frozen=True, slots=True)
class RunSection:
    """What a run was: its main facts, and its whole manifest as JSON."""

    name: str
    facts: dict[str, str]
    manifest: str


def _run_sections(comparison: Comparison) -> list[RunSection]:
    names = run_names(list(comparison.manifests))
    return [
        RunSection(names[path], _facts(manifest), json.dumps(manifest.to_json(), indent=2, ensure_ascii=False))
        for path, manifest in comparison.manifests.items()
    ]


def _facts(manifest: Manifest) -> dict[str, str]:
    dataset = manifest.dataset
    facts = {
        "dataset": f"{dataset.name}, {plural(dataset.questions, 'question')}",
        "data": dataset.origin,
        "data sha256": dataset.sha256,
        "reader": _name_and_model(manifest.reader),
        "judge": _name_and_model(manifest.judge),
        "embedder": manifest.embedder.name,
        "budget": None if manifest.budget is None else f"{manifest.budget:,} tokens",
        "token encoding": manifest.token_encoding,
        "seed": manifest.seed,
        "commit": manifest.git_commit,
        "engram_eval": manifest.engram_eval,
        "started": manifest.started,
        "finished": manifest.finished,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _name_and_model(part: ReaderInfo | JudgeInfo) -> str:
    name = part.name if part.model == part.name else f"{part.name}, {part.model}"
    return f"{name}, prompt {part.prompt_file} (own)" if part.prompt_file else name


def _content_security_policy(script: str, style: str) -> str:
    """Allows this script and this style, by their hashes, and nothing else from anywhere."""
    script_hash, style_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )
