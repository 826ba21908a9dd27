"""Recognises files that are not the JSON that their name promises, so that each has a sentence of its own."""

from __future__ import annotations

import codecs
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.system.files import file_error

HEAD = 1024
"""How many of a file's first bytes are enough to recognise it."""

_FIX = "check the path given with --data"
_CONVERT = "convert it to JSON first"
_UNPACK = "unpack it first"
_UTF8 = "save it as UTF-8"
# The first bytes of a file -> what it is, and how to fix it.
_SIGNATURES = {
    b"version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer, not the file itself", "fetch it with: git lfs pull",
    ),
    b"PAR1": ("a Parquet file", _CONVERT),
    b"ARROW1": ("an Arrow file", _CONVERT),
    b"\x1f\x8b": ("compressed with gzip", f"{_UNPACK}: gunzip FILE"),
    b"PK\x03\x04": ("a zip file", _UNPACK),
    b"PK\x05\x06": ("an empty zip file", "fetch it again"),
    b"BZh": ("compressed with bzip2", _UNPACK),
    b"\xfd7zXZ\x00": ("compressed with xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z file", _UNPACK),
    b"SQLite format 3\x00": ("an SQLite database", _CONVERT),
    b"%PDF-": ("a PDF", "fetch the data itself"),
    b"\x80\x04": ("a Python pickle", _CONVERT),
    codecs.BOM_UTF16_LE: ("text in UTF-16", _UTF8),
    codecs.BOM_UTF16_BE: ("text in UTF-16", _UTF8),
}  # fmt: skip
_ANNEX = (b"/annex/objects/", b".git/annex/objects/")
_NO_LETTERS = " \t\r\n\"',:;[]{}()0123456789"
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--")


def refuse_other_formats(where: Path | str, head: bytes, *, allow_zip: bool = False) -> None:
    """Raises UserError if the file that begins with `head` is of another format than JSON, JSON Lines or, if allowed, zip.

    `where`: the file, for the error.
    """
    if not head:
        raise UserError(f"{where}: the file is empty; fetch or write it again")
    kind = _kind(head)
    if kind and not (allow_zip and head.startswith(b"PK")):
        what, fix = kind
        raise UserError(f"{where}: this is {what}, not JSON; {fix}")


def refuse_other_formats_than_lines(path: Path) -> None:
    """The same for JSON Lines, reading the head. Raises UserError for a file that cannot be read, but not for an empty one."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        raise file_error(path, error, fix=_FIX) from None
    if head:
        refuse_other_formats(f"{path}: line 1", head)


def not_utf8(error: UnicodeDecodeError) -> str:
    """`not UTF-8`, and what it probably is: Windows-1252 has letters beside others, quotes and dashes below 0xA0."""
    content, place = error.object, error.start
    beside = content[max(0, place - 1) : place] + content[place + 1 : place + 2]
    letter = content[place : place + 1].decode("cp1252", "ignore")
    if letter and (content[place] < 0xA0 or (letter.isalpha() and beside.decode("ascii", "ignore").strip(_NO_LETTERS))):
        return "not UTF-8 but probably Windows-1252 (cp1252)"
    return "not UTF-8"


def _kind(head: bytes) -> tuple[str, str] | None:
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:HEAD].lower()
    if start.startswith(_MARKUP):
        return "a web page (HTML or XML)", "fetch the raw file, not the page that shows it or an error page"
    if start.startswith(_ANNEX) or (b"/annex/objects/" in head and b"\n" not in head.strip()):
        return "a git-annex pointer, not the file itself", "fetch it with: git annex get FILE"
    if head[257:262] == b"ustar":
        return "a tar file", _UNPACK
    if (
        b"\x00" in head[:2] and head[:2].strip(b"\x00").isascii()
    ):  # of an ASCII character, UTF-16 makes one and a zero byte
        return "text in UTF-16", _UTF8
    return None
