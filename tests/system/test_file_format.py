"""Files that are not the JSON that their name promises: a sentence each, wherever JSON is read."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engram_eval.datasets import catalogue
from engram_eval.datasets.dialogues import DIALOGUES
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.datasets.longmemeval import LONGMEMEVAL_S
from engram_eval.errors import UserError
from engram_eval.judges.verdict_file import read_verdicts
from engram_eval.metrics.failure_stage import read_label_errors
from engram_eval.run.answer_file import read_answers


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.json", "[]")
    return content.getvalue()


_FILES = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n": "a Git LFS pointer",
    b"/annex/objects/SHA256E-s100--4d7a.json\n": "a git-annex pointer",
    b"<!DOCTYPE html>\n<html><body>404</body></html>": "a web page",
    b"\xef\xbb\xbf  <HTML>": "a web page",
    b"PAR1\x15\x04\x15": "a Parquet file",
    gzip.compress(b"[]"): "compressed with gzip",
    _zip(): "a zip file",
    "[]".encode("utf-16"): "text in UTF-16",
    "[1]".encode("utf-16-le"): "text in UTF-16",
}
_READERS: dict[str, Callable[[Path], object]] = {
    "locomo": lambda path: list(LOCOMO.open(path, {}).samples()),
    "longmemeval": lambda path: list(LONGMEMEVAL_S.open(path, {}).samples()),
    "dialogues": lambda path: list(DIALOGUES.open(path, {}).samples()),
    "any dataset": catalogue.recognise,
    "answers": read_answers,
    "verdicts": read_verdicts,
    "label errors": read_label_errors,
}


@pytest.mark.parametrize("reader", _READERS)
@pytest.mark.parametrize("content", _FILES, ids=lambda content: _FILES[content])
def test_what_a_file_really_is(tmp_path: Path, content: bytes, reader: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"data\.json:( line 1:)? this is {_FILES[content]}.*; ") as caught:
        _READERS[reader](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", _READERS)
def test_an_empty_file(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"is empty; fetch|holds no conversation|holds no answer|no verdict"):
        _READERS[reader](path)


@pytest.mark.parametrize("reader", [reader for reader in _READERS if reader != "any dataset"])
def test_windows_text(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes('[{"question_id": "café", "text": "naïve “quotes”"}]'.encode("cp1252"))
    with pytest.raises(UserError, match="not UTF-8 but probably Windows-1252"):
        _READERS[reader](path)
