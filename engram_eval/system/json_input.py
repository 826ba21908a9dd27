"""Reads JSON that other people wrote. Every fault is one sentence with the file, the place and how to fix it.

A `Node` is a value and its place in the file: a loader asks for what it expects, and the node words the error.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ijson

from engram_eval.errors import UserError
from engram_eval.system.file_format import HEAD, not_utf8, refuse_other_formats, refuse_other_formats_than_lines
from engram_eval.system.files import file_error, read_bytes, read_lines

_FIX = "check the path given with --data"


class Node:
    """One JSON value and its place. A method raises UserError if the value is not of the type that it returns."""

    def __init__(self, value: Any, file: Path, place: str, form: str, record: str = "") -> None:
        self.value = value
        self._file, self._place, self._form, self._record = file, place, form, record

    def fault(self, description: str) -> UserError:
        record = f" (in {self._record})" if self._record else ""
        return UserError(f"{self._file}: {self._place}: {description}{record}; compare it with {self._form}")

    def as_record(self, id_key: str) -> Node:
        """The same object, whose faults also name the id that it has under that key."""
        record_id = self.value.get(id_key) if isinstance(self.value, dict) else None
        name = repr(record_id)[:60] if isinstance(record_id, str | int) else ""
        return Node(self.value, self._file, self._place, self._form, name)

    def items(self) -> list[Node]:
        if not isinstance(self.value, list):
            raise self.fault(f"expected a list, found {_kind(self.value)}")
        return [self._child(value, f"[{i}]") for i, value in enumerate(self.value)]

    def has(self, key: str) -> bool:
        """Whether there is a value under `key` that is not null."""
        if not isinstance(self.value, dict):
            raise self.fault(f"expected an object, found {_kind(self.value)}")
        return self.value.get(key) is not None

    def get(self, key: str) -> Node:
        if not self.has(key):
            raise self.fault(f"{key!r} is missing")
        return self._child(self.value[key], f".{key}")

    def names(self) -> list[str]:
        """The keys of an object."""
        if not isinstance(self.value, dict):
            raise self.fault(f"expected an object, found {_kind(self.value)}")
        return list(self.value)

    def text(self) -> str:
        """A string that UTF-8 can encode: half of a surrogate pair, which JSON can spell, is replaced."""
        if not isinstance(self.value, str):
            raise self.fault(f"expected text, found {_kind(self.value)}")
        return self.value.encode("utf-8", "replace").decode("utf-8")

    def scalar(self) -> str:
        """A string, or a number as a string: some gold answers are numbers."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | str):
            raise self.fault(f"expected text or a number, found {_kind(self.value)}")
        return self.text() if isinstance(self.value, str) else str(self.value)

    def _child(self, value: Any, step: str) -> Node:
        return Node(value, self._file, (self._place + step).removeprefix("the file."), self._form, self._record)


def read_json(path: Path, form: str) -> Node:
    """The whole file as one node. `form` names an example of the format, for error messages."""
    return parse_json(read_bytes(path, fix=_FIX), path, form)


def parse_json(content: bytes, path: Path, form: str) -> Node:
    """Parses what was read already; `path` is its name in messages."""
    refuse_other_formats(path, content[:HEAD])
    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique_object)
        return Node(value, path, "the file", form)
    except _RepeatedKey as error:
        raise UserError(f"{path}: the file: {error}; rename one, or leave it out") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start}: {not_utf8(error)}; save it as UTF-8 or fetch it again") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        if error.msg == "Extra data":
            raise UserError(
                f"{path}: {where}: more follows after the JSON value (is it JSON Lines?); compare it with {form}"
            ) from None
        raise UserError(f"{path}: {where}: not JSON ({error.msg}); is it cut short? fetch it again") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or endless brackets
        raise UserError(f"{path}: not usable JSON ({_first_line(error)}); compare it with {form}") from None


def read_json_lines(path: Path, *, fix: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSON Lines file as `read_lines` gives them. Raises UserError if the file is of another format."""
    refuse_other_formats_than_lines(path)
    yield from read_lines(path, fix=fix)


def parse_line(line: bytes, path: Path, number: int, form: str) -> Node:
    """One line of JSON Lines. Raises UserError if it is not JSON."""
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_object)
        return Node(value, path, f"line {number}", form)
    except _RepeatedKey as error:
        raise UserError(f"{path}: line {number}: {error}; rename one, or leave it out") from None
    except UnicodeDecodeError as error:
        where = f"line {number}, byte {error.start + 1}"
        raise UserError(f"{path}: {where}: {not_utf8(error)}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: line {number}, column {error.colno}: not JSON ({error.msg}); write one JSON object per line"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or endless brackets
        raise UserError(f"{path}: line {number}: not usable JSON; give it one JSON object of plain values") from None


def stream_array(path: Path, form: str) -> Iterator[Node]:
    """Yields the elements of a file that is one JSON array. Only one element is in memory at a time."""
    count = 0
    repeated: list[str] = []
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            refuse_other_formats(path, head)
            if not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
                raise UserError(f"{path}: the file: expected a list; compare it with {form}")
            file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
            for value in ijson.items(file, "item", use_float=True, map_type=_object_type(repeated)):
                if repeated:
                    raise _RepeatedKey(repeated[0])
                yield Node(value, path, f"record {count}", form)
                count += 1
    except _RepeatedKey as error:
        raise UserError(f"{path}: record {count}: {error}; rename one, or leave it out") from None
    except ijson.JSONError as error:
        if fault := _utf8_fault(path):
            raise UserError(f"{path}: record {count}: {fault}; save it as UTF-8 or fetch it again") from None
        raise UserError(
            f"{path}: after record {count - 1}: not JSON ({_first_line(error)}); is it cut short? fetch it again"
            if count
            else f"{path}: record 0: not JSON ({_first_line(error)}); is it cut short? fetch it again"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: record {count}: {not_utf8(error)}; save it as UTF-8 or fetch it again") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: record {count}: not usable JSON ({_first_line(error)}); fetch it again") from None
    except OSError as error:
        raise unreadable(path, error) from None


class _RepeatedKey(Exception):  # noqa: N818 - always caught here
    def __init__(self, key: str) -> None:
        super().__init__(f"an object has the key {key[:40]!r} twice, and only one value can be read")


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose keys must differ: Python's parser keeps the last value and drops the others."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKey(next(key for key in keys if keys.count(key) > 1))
    return values


def _object_type(repeated: list[str]) -> type[dict[str, Any]]:
    """The same for ijson, which sets one key at a time, and cannot be stopped there: adds the keys to `repeated`."""

    class Object(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if key in self:
                repeated.append(key)
            super().__setitem__(key, value)

    return Object


def refuse_repeated_keys(line: bytes, where: str, fix: str) -> None:
    """Raises UserError if an object in the JSON text has a key twice. What is not JSON is left to others to report."""
    try:
        json.loads(line, object_pairs_hook=_unique_object)
    except _RepeatedKey as error:
        raise UserError(f"{where}: {error}; {fix}") from None
    except (ValueError, RecursionError):
        return


def unreadable(path: Path, error: OSError) -> UserError:
    """The sentence for a data file that cannot be read."""
    return file_error(path, error, fix=_FIX)


def _utf8_fault(path: Path) -> str | None:
    """What is wrong with the file's first byte that is not UTF-8; None if there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
    except UnicodeDecodeError as error:
        return not_utf8(error)
    return None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no detail"])[0][:120]
