"""Reads and writes files. A file is written whole or not at all, and a file error becomes one plain sentence.

Functions with a `fix` raise UserError: `PATH: cannot be read (there is no such file); FIX`. `fix` tells the user what to do,
as in "name another file with --out". `replacing` raises OSError, for a caller that can go on without the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from engram_eval.errors import UserError

# Names of files that are open already. Replacing such a name would replace the file behind it.
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")


def file_error(path: Path, error: Exception, *, fix: str, action: Literal["read", "written"] = "read") -> UserError:
    """The sentence for an OSError, a ValueError (a name with a NUL byte) or a sqlite3.Error."""
    number = error.errno if isinstance(error, OSError) else None
    match number:
        case errno.ENOENT | errno.ENOTDIR:
            reason = "there is no such file" if action == "read" else "there is no such folder"
        case errno.EISDIR:
            reason = "this is a folder"
        case errno.EACCES | errno.EPERM:
            reason = "permission denied"
        case errno.EROFS:
            reason = "the file system is read-only"
        case errno.ENOSPC | errno.EDQUOT:
            reason = "no space left on the device"
        case _:
            reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return UserError(f"{path}: cannot be {action} ({reason}); {fix}")


@contextmanager
def reading(path: Path, *, fix: str) -> Iterator[None]:
    """Around code that reads the file: turns its OSError into UserError."""
    try:
        yield
    except OSError as error:
        raise file_error(path, error, fix=fix) from None


@contextmanager
def writing(path: Path, *, fix: str) -> Iterator[None]:
    """Around code that writes the file: turns its OSError into UserError."""
    try:
        yield
    except OSError as error:
        raise file_error(path, error, fix=fix, action="written") from None


def read_bytes(path: Path, *, fix: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise file_error(path, error, fix=fix) from None


def read_text(path: Path, *, fix: str) -> str:
    """The text of a UTF-8 file, without its byte order mark."""
    content = read_bytes(path, fix=fix)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is not UTF-8; {fix}") from None


def read_lines(path: Path, *, fix: str) -> Iterator[tuple[int, bytes]]:
    """The lines and their numbers from 1, each with its line feed, without the file's byte order mark."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except (OSError, ValueError) as error:
        raise file_error(path, error, fix=fix) from None


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` at the end. After an error, `path` is as it was. Raises OSError.

    Through a symbolic link, the file that it points to is replaced. What is no ordinary file (a pipe, /dev/stdout) is
    written to directly.
    """
    if _is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes | Iterable[bytes], *, fix: str) -> None:
    """Writes a file whole or not at all, as `replacing` does. `content` may come in parts."""
    with writing(path, fix=fix), replacing(path) as file:
        file.writelines([content] if isinstance(content, bytes) else content)


def append_to_file(path: Path, content: bytes, *, fix: str) -> None:
    with writing(path, fix=fix), path.open("ab") as file:
        file.write(content)


def make_folder(path: Path, *, fix: str) -> None:
    """Makes the folder and those above it, where they do not exist."""
    with writing(path, fix=fix):
        path.mkdir(parents=True, exist_ok=True)


def check_writable(path: Path, *, fix: str) -> None:
    """Raises UserError if `write_file` cannot write there: to be known before the work begins. Leaves no trace."""
    with writing(path, fix=fix):
        if not _is_stream(path):
            with suppress(_NotKept), replacing(path):
                raise _NotKept


class _NotKept(Exception):  # noqa: N818 - a way out, not an error
    """Leaves `replacing` without replacing anything."""


def _is_stream(path: Path) -> bool:
    if str(path.absolute()).startswith(_STREAMS):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()
