"""The function `engram_eval.compare`."""

from __future__ import annotations

import os
from pathlib import Path

from engram_eval.compare.comparison import Comparison
from engram_eval.compare.comparison import compare as compare_folders
from engram_eval.compare.published import with_published
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import read_label_errors
from engram_eval.results.folder import RunFolder


def compare(
    *runs: str | os.PathLike[str],
    published: bool = False,
    allow_different: bool = False,
    all_pairs: bool = False,
    against: str | None = None,
    known_errors: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compares the backends of finished runs: tables, paired tests and notes, as `engram-eval compare` shows them.

    `against`: pair every memory with this one; `all_pairs`: every memory with every other. `known_errors`: a file with known
    errors of the answer key. `published`: add the published figures. Raises UserError for runs of different experiments,
    unless `allow_different`.
    """
    if not runs:
        raise UserError("compare: no run is given; name at least one")
    if against is not None and all_pairs:
        raise UserError("--pairs all pairs every memory with every other; leave --against out")
    comparison = compare_folders(
        [RunFolder(Path(run)) for run in runs],
        allow_different=allow_different,
        all_pairs=all_pairs,
        against=against,
        label_errors=read_label_errors(Path(known_errors)) if known_errors else None,
    )
    return with_published(comparison) if published else comparison
