"""The folder of a run: `manifest.json`, `records.jsonl`, `summary.json`, and the files beside them.

Records are appended one by one and flushed, so no answer is lost: however the process ends, the file holds every finished
question and at most one torn line at its end. A question's last record counts.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TypeVar

from engram_eval.errors import UserError
from engram_eval.results.contexts import Contexts
from engram_eval.results.manifest import Manifest
from engram_eval.results.probe import ProbeResult, ProbeSummary
from engram_eval.results.record import Record, RecordKey
from engram_eval.results.stored import encodable
from engram_eval.results.summary import Summary
from engram_eval.system.files import append_to_file, make_folder, read_bytes, read_lines, write_file, writing

_Line = TypeVar("_Line", bound=RecordKey)

_FIX = "free some space or check the permissions"


class InUse(UserError):  # noqa: N818 - a reason to wait, not an error in the input
    """Raised if another process is writing the run."""


def default_folder(dataset: str, *, make: bool = True) -> Path:
    """`results/DATASET-TIME`, with a number if that exists already. It is made, so that no other process chooses it too."""
    base = Path("results") / f"{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder, number = base, 2
    while folder.exists() or (make and not _make_new(folder)):
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def _make_new(folder: Path) -> bool:
    """Makes the folder for its owner alone: it will hold people's conversations. False if it exists."""
    fix = "run in another folder, or name one with --out"
    make_folder(folder.parent, fix=fix)
    with writing(folder, fix=fix):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return False
    return True


class RunFolder:
    """Reads and writes one run. All methods raise UserError for files that cannot be read or written."""

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

    def create(self, manifest: Manifest) -> None:
        """Makes the folder. Raises UserError if it holds a run, or part of one, or cannot be made."""
        fix = "name another folder with --out"
        with writing(self.path, fix=fix):  # without permission for the folder, even `exists` fails
            if self.manifest_path.exists():
                raise UserError(
                    f"{self.path}: holds a run already; finish it with --resume {self.path}, or name another folder"
                )
            if self.records_path.exists() or self.state_path.exists():
                raise UserError(f"{self.path}: holds part of a run without a manifest; name another folder")
        if not self.path.exists():
            _make_new(self.path)
        if not _make_new(self.state_path):  # of two processes that start at the same moment, one makes it
            raise InUse(f"{self.path}: another run has just begun there; {fix}")
        self.write_manifest(manifest)

    def manifest(self) -> Manifest:
        content = read_bytes(self.manifest_path, fix=f"is {self.path} the folder of a run?")
        return Manifest.read(content, str(self.manifest_path), "name the folder of another run, or run it again")

    def write_manifest(self, manifest: Manifest) -> None:
        write_file(self.manifest_path, manifest.write(indent=2) + b"\n", fix=_FIX)

    def write_summary(self, summary: Summary) -> None:
        write_file(self.summary_path, summary.write(indent=2) + b"\n", fix=_FIX)

    def records(self) -> Iterator[Record]:
        """The last record of each question, in the order of the file; a torn last line is skipped.

        Records are yielded one at a time, and the file is read twice, so that a run may be of any size. Raises UserError for
        a line that is not a record.
        """
        last_line_of = {self._read(RecordKey, line, number).key: number for number, line in self._lines()}
        current = set(last_line_of.values())
        for number, line in self._lines():
            if number in current:
                yield self._read(Record, line, number)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        if not self.records_path.exists():
            return
        for number, line in read_lines(self.records_path, fix="check its permissions"):
            if line.endswith(b"\n"):  # a killed process leaves a line without its end
                yield number, line

    def _read(self, kind: type[_Line], line: bytes, number: int) -> _Line:
        fix = "delete the line, and --resume asks its question again"
        return kind.read(line, f"{self.records_path}: line {number}", fix)

    def contexts(self) -> Contexts:
        """The contexts of the run, for reading."""
        return Contexts(self.contexts_path, read_only=True)

    def keep_warnings(self, backend: str, conversation_id: str, warnings: Sequence[str]) -> None:
        """Appends what a memory could not do while it ingested a conversation, each warning once."""
        known = read_bytes(self.warnings_path, fix=_FIX).split(b"\n") if self.warnings_path.exists() else []
        lines = [_warning_line(backend, conversation_id, warning) for warning in warnings]
        append_to_file(self.warnings_path, b"".join(line + b"\n" for line in lines if line not in known), fix=_FIX)

    def keep_cache_keys(self, keys: Iterable[bytes]) -> None:
        """Appends the keys of the cached responses that the run used: others need these to repeat it."""
        if lines := "".join(f"{key.hex()}\n" for key in sorted(keys)):
            append_to_file(self.cache_keys_path, lines.encode(), fix=_FIX)

    def keep_spent(self, dollars: float) -> None:
        """Appends what the run has cost so far: one line per change, the last one counts."""
        append_to_file(self.spent_path, f"{dollars:.8f}\n".encode(), fix=_FIX)

    def spent_usd(self) -> float:
        """What the run had cost when it ended, however it ended; calls in flight count with the most they may have cost."""
        if not self.spent_path.exists():
            return 0.0
        fix = "write what the run has cost into it, in dollars"
        lines = read_bytes(self.spent_path, fix=fix).split(b"\n")[:-1]  # the text after the last line end is torn
        try:
            return float(lines[-1]) if lines else 0.0
        except ValueError:
            raise UserError(f"{self.spent_path}: line {len(lines)} is not a number; {fix}") from None

    def keep_probe(self, summary: ProbeSummary, results: Iterable[ProbeResult]) -> None:
        """Writes the summary of the judge probe into the manifest, and its results into `probe.jsonl`."""
        write_file(self.probe_path, b"".join(result.write() + b"\n" for result in results), fix=_FIX)
        self.write_manifest(self.manifest().model_copy(update={"probe": summary}))

    @contextmanager
    def appending(self) -> Iterator[RecordWriter]:
        """Opens the records for appending. Raises InUse if another process is writing them."""
        with writing(self.records_path, fix="check its permissions"):
            file = self.records_path.open("ab")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse(f"{self.path}: another process is writing this run; wait for it to end") from None
            _drop_torn_line(self.records_path, file)
            for path in (self.cache_keys_path, self.warnings_path, self.spent_path):
                if path.exists():
                    with path.open("ab") as other_file:
                        _drop_torn_line(path, other_file)
            with Contexts(self.contexts_path) as contexts:
                yield RecordWriter(self.records_path, file, contexts)
        finally:
            with suppress(OSError):  # on a full disk, where the failed write was reported already
                file.close()


class RecordWriter:
    """Appends records, and keeps their contexts."""

    def __init__(self, path: Path, file: IO[bytes], contexts: Contexts) -> None:
        self._path, self._file, self.contexts = path, file, contexts

    def append(self, record: Record) -> None:
        """Writes one line and flushes it. Raises UserError on a full disk; the run can be resumed."""
        with writing(self._path, fix=f"free some space, then finish the run with --resume {self._path.parent}"):
            self._file.write(record.write() + b"\n")
            self._file.flush()


def _drop_torn_line(path: Path, file: IO[bytes]) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        file.truncate(content.rfind(b"\n") + 1)


def _warning_line(backend: str, conversation_id: str, warning: str) -> bytes:
    line = {"backend": encodable(backend), "conversation_id": encodable(conversation_id), "warning": encodable(warning)}
    return json.dumps(line, ensure_ascii=False).encode()
