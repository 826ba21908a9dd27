"""A run on disk: `manifest.json`, `records.jsonl`, `summary.json`.

Records are appended one by one and flushed, so that nothing that was answered is lost: whatever ends the process, the
file holds all finished questions and at most one torn line behind them. The last record of a question counts.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from engram_eval.errors import UserError
from engram_eval.results.contexts import Contexts
from engram_eval.results.record import _FIELDS, _REQUIRED, Record

_MANIFEST_KEYS = frozenset(
    ("settings", "seed", "dataset", "backends", "reader", "judge", "embedder", "token_encoding", "budget", "prompts")
)


class InUse(UserError):  # noqa: N818 - a reason to wait, not a fault
    """Another process is writing the run."""


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / "manifest.json"
        self.records_path = path / "records.jsonl"
        self.summary_path = path / "summary.json"
        self.state_path = path / "state"
        self.contexts_path = path / "contexts.sqlite"
        self.warnings_path = path / "warnings.jsonl"
        self.cache_keys_path = path / "cache_keys.txt"
        self.probe_path = path / "probe.jsonl"
        self.spent_path = path / "spent.txt"

    def create(self, manifest: dict[str, Any]) -> None:
        """Makes the folder. Raises UserError if it holds a run, or what is left of one, or cannot be made."""
        try:
            if self.manifest_path.exists():
                raise UserError(
                    f"{self.path}: holds a run already; finish it with --resume {self.path}, or name another folder"
                )
            if self.records_path.exists() or self.state_path.exists():
                raise UserError(f"{self.path}: holds what is left of a run without a manifest; name another folder")
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); name another folder with --out"
            ) from None
        self.write_manifest(manifest)

    def manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self.manifest_path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not JSON"
            raise UserError(f"{self.manifest_path}: {reason}; is {self.path} the folder of a run?") from None
        if not isinstance(manifest, dict) or (missing := sorted(_MANIFEST_KEYS - manifest.keys())):
            what = f"{', '.join(missing)} missing" if isinstance(manifest, dict) else "not an object"
            raise UserError(
                f"{self.manifest_path}: not the manifest of a run of this version ({what}); start a new run"
            )
        return manifest

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        _write_whole(self.manifest_path, _json(manifest, indent=2))

    def write_summary(self, summary: dict[str, Any]) -> None:
        _write_whole(self.summary_path, _json(summary, indent=2))

    def records(self) -> Iterator[Record]:
        """The last record of each question, in the order of the file; a torn last line is left out.

        One at a time and read twice, so that a run may have any number. Raises UserError for any other line that is not
        a record.
        """
        counts = {self._record(line, number).key: number for number, line in self._lines()}
        numbers = set(counts.values())
        for number, line in self._lines():
            if number in numbers:
                yield self._record(line, number)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.records_path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if line.endswith(b"\n"):  # else torn by a killed process
                        yield number, line
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{self.records_path}: cannot be read ({error.strerror}); check its permissions") from None

    def _record(self, line: bytes, number: int) -> Record:
        where = f"{self.records_path}: line {number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{where}: not JSON; delete the line to have its question asked again") from None
        if not isinstance(values, dict) or not values.keys() >= _REQUIRED:
            missing = ", ".join(sorted(_REQUIRED - set(values))) if isinstance(values, dict) else "everything"
            raise UserError(f"{where}: not a record of this version ({missing} missing); run it anew")
        known = {name: values[name] for name in _FIELDS if name in values}
        for name, value in known.items():
            if not isinstance(value, _FIELDS[name]) or (isinstance(value, bool) and bool not in _FIELDS[name]):
                raise UserError(f"{where}: {name} is {value!r:.40}; delete the line to have its question asked again")
        return Record(**known)

    def contexts(self) -> Contexts:
        """To look contexts up in."""
        return Contexts(self.contexts_path, read_only=True)

    def keep_warnings(self, backend: str, conversation_id: str, faults: Sequence[str]) -> None:
        """Appends what a memory could not do while it ingested a conversation, each fault once."""
        known = self.warnings_path.read_bytes().split(b"\n") if self.warnings_path.exists() else []
        lines = [_json({"backend": backend, "conversation_id": conversation_id, "warning": fault}) for fault in faults]
        _append(self.warnings_path, b"".join(line + b"\n" for line in lines if line not in known))

    def keep_cache_keys(self, keys: Iterable[bytes]) -> None:
        """Appends the keys of cached answers that the run went by: what another needs to repeat it."""
        if lines := "".join(f"{key.hex()}\n" for key in sorted(keys)):
            _append(self.cache_keys_path, lines.encode())

    def keep_spent(self, dollars: float) -> None:
        """Appends what the run has cost by now: a line a change, the last one counts."""
        _append(self.spent_path, f"{dollars:.8f}\n".encode())

    def spent_usd(self) -> float:
        """What the run has cost when it ended, however it ended: of calls that were under way what they may have cost."""
        try:
            lines = self.spent_path.read_bytes().split(b"\n")[:-1]  # what stands behind the last break is torn
            return float(lines[-1]) if lines else 0.0
        except FileNotFoundError:
            return 0.0
        except (OSError, ValueError):
            raise UserError(
                f"{self.spent_path}: cannot be read; write into it what the run has cost, in dollars"
            ) from None

    def keep_probe(self, summary: dict[str, Any], lines: Iterable[dict[str, Any]]) -> None:
        """What was found of the judge, in the manifest, and each answer that was put to it in `probe.jsonl`."""
        _write_whole(self.probe_path, b"\n".join(map(_json, lines)))
        self.write_manifest({**self.manifest(), "probe": summary})

    @contextmanager
    def appending(self) -> Iterator[RecordWriter]:
        """Opens the records for appending, alone: a second process on the same run is refused."""
        try:
            file = self.records_path.open("ab")
        except OSError as error:
            raise UserError(
                f"{self.records_path}: cannot be written ({error.strerror}); check its permissions"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _drop_torn_line(self.records_path, file)
            for path in (self.cache_keys_path, self.warnings_path, self.spent_path):
                if path.exists():
                    with path.open("ab") as beside:
                        _drop_torn_line(path, beside)
            with Contexts(self.contexts_path) as contexts:
                yield RecordWriter(self.records_path, file, contexts)
        except BlockingIOError:
            raise InUse(f"{self.path}: another process is writing this run; wait for it to end") from None
        finally:
            with suppress(OSError):  # of a full disk, where what could not be written was told already
                file.close()


class RecordWriter:
    def __init__(self, path: Path, file: IO[bytes], contexts: Contexts) -> None:
        self._path, self._file, self.contexts = path, file, contexts

    def append(self, record: Record) -> None:
        """Writes one line and flushes it. Raises UserError on a full disk; the run can be resumed."""
        try:
            self._file.write(_json({name: getattr(record, name) for name in _FIELDS}) + b"\n")
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error.strerror}); "
                f"free some space, then finish the run with --resume {self._path.parent}"
            ) from None


def _append(path: Path, lines: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(lines)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free some space or check the permissions"
        ) from None


def _drop_torn_line(path: Path, file: IO[bytes]) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        file.truncate(content.rfind(b"\n") + 1)


def _json(value: Any, *, indent: int | None = None) -> bytes:
    """UTF-8; half of a surrogate pair, which has no UTF-8 (a strange file name, say), as its JSON escape."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _write_whole(path: Path, content: bytes) -> None:
    """The file is whole or as it was before, whenever the process is killed."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free some space or check the permissions"
        ) from None
