"""The report: finished runs as one page that needs no network, no script to be read by, and trusts nothing it shows.

`data` makes columns of the records, `charts` draws them, `template.html.j2` sets the page, `page.js` lets its question
table be searched. What datasets and models wrote is escaped by the template or set as text by the script; the page's own
policy lets no other script run and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval import __version__
from engram_eval.compare.comparison import Comparison
from engram_eval.compare.notes import EXPLANATORY
from engram_eval.compare.rows import run_names
from engram_eval.errors import UserError
from engram_eval.report.context_lines import ContextOf
from engram_eval.report.data import CausesOf, page_data
from engram_eval.report.text import short
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import JudgeInfo, ReaderInfo
from engram_eval.tables.note import Note
from engram_eval.tables.text import visible

if TYPE_CHECKING:
    from engram_eval.report.drawing import Chart

__all__ = ["CausesOf", "ContextOf", "render", "write_report"]


def write_report(
    folders: Sequence[RunFolder],
    comparison: Comparison,
    to: Path,
    *,
    causes: CausesOf | None = None,
    context: ContextOf | None = None,
) -> int:
    """Writes the page, over what the file held, whole or not at all; returns its size in bytes.

    `comparison` is that of the folders. Raises UserError if the file cannot be written or a package is missing.
    """
    if to.is_dir():
        raise UserError(f"{to}: is a folder; name a file with -o")
    page = render(folders, comparison, causes=causes, context=context).encode()
    _write(to, page)
    return len(page)


def render(
    folders: Sequence[RunFolder],
    comparison: Comparison,
    *,
    causes: CausesOf | None = None,
    context: ContextOf | None = None,
) -> str:
    """The page."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup

        from engram_eval.report.charts import charts
    except ImportError as error:
        raise UserError(
            f"the report needs the package {error.name}; install it with: pip install 'engram_eval[report]'"
        ) from None
    folders = list({str(folder.path): folder for folder in folders}.values())
    data = page_data(folders, comparison, causes=causes, context=context)
    environment = Environment(
        loader=PackageLoader("engram_eval", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    script, style = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.js", "style.css"))
    drawn = [
        *charts(comparison.rows, data.backends, _categories(comparison), data.causes),
        *_sweep_charts(comparison),
    ]
    environment.filters["short"] = lambda text, length: short(visible(text), length)
    environment.globals["explanatory"] = environment.tests["explanatory"] = _explanatory
    return environment.get_template("template.html.j2").render(
        title=" · ".join(dict.fromkeys(summary.dataset.name for summary in comparison.summaries.values())),
        version=__version__,
        data_lines=comparison.data_lines,
        notes=comparison.notes,
        badges=_badges(comparison),
        tables=[
            {
                "title": table.title,
                "columns": [column.name for column in table.columns],
                "rows": table.cells(),
            }
            for table in comparison.tables
        ],
        charts=[{"chart": chart, "wide": Markup(chart.wide), "narrow": Markup(chart.narrow)} for chart in drawn],
        runs=_runs(folders),
        questions=data.questions,
        backends=len(data.backends),
        table_data=data.table,
        details_data=data.details,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(script, style),
    )


def _sweep_charts(comparison: Comparison) -> list[Chart]:
    from engram_eval.report.sweep import sweep_chart, sweeps

    names = run_names(list(comparison.manifests))
    drawn = (sweep_chart(sweep, names[sweep.run] if len(names) > 1 else None) for sweep in sweeps(comparison.rows))
    return [chart for chart in drawn if chart]


def _categories(comparison: Comparison) -> list[str]:
    """The headline's first, as in the table."""
    datasets = [summary.dataset for summary in comparison.summaries.values()]
    headline = [category for dataset in datasets for category in dataset.headline]
    return list(dict.fromkeys([*headline, *(category for dataset in datasets for category in dataset.categories)]))


def _explanatory(note: Note) -> bool:
    """Whether the page may fold the note away."""
    return note.kind in EXPLANATORY


def _badges(comparison: Comparison) -> list[tuple[str, str]]:
    """What nobody may miss, in a few words: a class and a label. The notes say it whole."""
    summaries = comparison.summaries.values()
    badges = []
    if comparison.mismatches:
        badges.append(("bad", "these runs do not compare"))
    offline = [summary.judge.name == "offline" for summary in summaries]
    if any(offline):
        some = "" if all(offline) else "some "
        badges.append(("warn", f"{some}scores by the offline judge: not LLM-judge scores"))
    judges = sorted({summary.judge.name for summary in summaries} - {"offline"})
    badges += [("plain", f"judge: {name}") for name in judges]
    if errors := sum(row.summary.errors for row in comparison.rows):
        badges.append(("warn", f"{errors:,} {'answer' if errors == 1 else 'answers'} ended in an error"))
    if not all(summary.complete for summary in summaries):
        badges.append(("warn", "not finished: the questions so far"))
    return badges


def _runs(folders: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """What each run was, for its section of the page."""
    names = run_names([str(folder.path) for folder in folders])
    runs = []
    for folder in folders:
        manifest = folder.manifest()
        dataset = manifest.dataset
        facts = {
            "dataset": f"{dataset.name}, {dataset.questions:,} questions",
            "data": dataset.origin,
            "data sha256": dataset.sha256,
            "reader": _name_and_model(manifest.reader),
            "judge": _name_and_model(manifest.judge),
            "embedder": manifest.embedder.name,
            "budget": None if manifest.budget is None else f"{manifest.budget:,} tokens",
            "tokens": manifest.token_encoding,
            "seed": manifest.seed,
            "commit": manifest.git_commit,
            "engram_eval": manifest.engram_eval,
            "started": manifest.started,
            "finished": manifest.finished,
        }
        runs.append(
            {
                "name": names[str(folder.path)],
                "facts": {name: str(value) for name, value in facts.items() if value is not None},
                "manifest": json.dumps(manifest.to_json(), indent=2, ensure_ascii=False),
            }
        )
    return runs


def _name_and_model(part: ReaderInfo | JudgeInfo) -> str:
    return part.name if part.model == part.name else f"{part.name}, {part.model}"


def _policy(script: str, style: str) -> str:
    """A content security policy: this script and this style, by their hashes, and nothing else from anywhere."""
    hashed = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style))
    ours, looks = hashed
    return f"default-src 'none'; script-src 'sha256-{ours}'; style-src 'sha256-{looks}'; base-uri 'none'; form-action 'none'"


def _write(to: Path, content: bytes) -> None:
    """Whole or as it was before; what is no file, such as a pipe or /dev/stdout, is written to as it is."""
    try:
        to = to.resolve()
        if to.exists() and not to.is_file():
            to.write_bytes(content)
            return
        partial = to.with_name(to.name + ".partial")
        try:
            partial.write_bytes(content)
            partial.replace(to)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{to}: cannot be written ({error.strerror}); name another file with -o") from None
