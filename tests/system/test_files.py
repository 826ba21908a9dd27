"""Files are written whole or not at all, and every file error is one sentence."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engram_eval.errors import UserError
from engram_eval.system.files import (
    append_to_file,
    check_writable,
    file_error,
    make_folder,
    read_bytes,
    read_lines,
    read_text,
    replacing,
    write_file,
)


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_file(tmp_path / "f", b"before", fix="fix it")
    write_file(tmp_path / "f", (part for part in (b"af", b"ter")), fix="fix it")
    assert (tmp_path / "f").read_bytes() == b"after"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_after_an_error_the_file_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"f: cannot be written \(no space left on the device\); free some space"):
        write_file(path, b"after", fix="free some space")
    assert path.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_file(tmp_path / "link", b"after", fix="fix it")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"after"


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe, fix="fix it")
    write_file(pipe, b"text", fix="fix it")
    reader.join(10)
    assert received == [b"text"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("to_file", [False, True])
def test_standard_output_is_written_to_directly(tmp_path: Path, to_file: bool) -> None:
    code = (
        "from pathlib import Path; from engram_eval.system.files import write_file\n"
        "write_file(Path('/dev/stdout'), b'text', fix='fix it')"
    )
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", code], stdout=out if to_file else subprocess.PIPE, check=True)
    assert ((tmp_path / "out").read_bytes() if to_file else done.stdout) == b"text"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("error", "action", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), "read", "there is no such file"),
        (FileNotFoundError(errno.ENOENT, "x"), "written", "there is no such folder"),
        (IsADirectoryError(errno.EISDIR, "x"), "read", "this is a folder"),
        (PermissionError(errno.EACCES, "x"), "written", "permission denied"),
        (OSError(errno.ENOSPC, "x"), "written", "no space left on the device"),
        (OSError(errno.EIO, "Input/output error"), "read", "Input/output error"),
        (ValueError("embedded null byte"), "read", "embedded null byte"),
        (OSError(), "read", "OSError"),
    ],
)
def test_a_file_error_is_one_sentence(error: Exception, action: str, reason: str) -> None:
    sentence = str(file_error(Path("a/b"), error, fix="name another", action=action))  # type: ignore[arg-type]
    assert sentence == f"a/b: cannot be {action} ({reason}); name another"


def test_reading_names_the_file_and_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent: cannot be read \(there is no such file\); fix it"):
        read_bytes(tmp_path / "absent", fix="fix it")
    with pytest.raises(UserError, match=r"cannot be read \(this is a folder\); fix it"):
        list(read_lines(tmp_path, fix="fix it"))
    with pytest.raises(UserError, match="embedded null byte"):
        read_text(tmp_path / "a\0b", fix="fix it")
    (tmp_path / "latin").write_bytes(b"a\xe4")
    with pytest.raises(UserError, match="latin: byte 2 is not UTF-8; fix it"):
        read_text(tmp_path / "latin", fix="fix it")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa\nb")
    assert read_text(tmp_path / "f", fix="fix it") == "a\nb"
    assert list(read_lines(tmp_path / "f", fix="fix it")) == [(1, b"a\n"), (2, b"b")]


def test_lines_are_appended_and_folders_made(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", fix="fix it")
    for line in (b"1\n", b"2\n"):
        append_to_file(tmp_path / "a" / "b" / "f", line, fix="fix it")
    assert (tmp_path / "a" / "b" / "f").read_bytes() == b"1\n2\n"
    with pytest.raises(UserError, match="f: cannot be written"):
        make_folder(tmp_path / "a" / "b" / "f", fix="fix it")
    with pytest.raises(UserError, match="cannot be written"):
        append_to_file(tmp_path, b"", fix="fix it")


def test_checking_whether_a_file_can_be_written_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"before")
    check_writable(tmp_path / "f", fix="fix it")
    check_writable(tmp_path / "new", fix="fix it")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"before"
    for path, reason in ((tmp_path / "no" / "f", "there is no such folder"), (tmp_path, "this is a folder")):
        with pytest.raises(UserError, match=rf"cannot be written \({reason}\); fix it"):
            check_writable(path, fix="fix it")
