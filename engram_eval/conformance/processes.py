"""The processes that a process has started and that still run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_NOT_THE_MEMORYS = "multiprocessing.resource_tracker"  # Python's own, which lives as long as the process


def child_processes(parent: int) -> dict[int, str]:
    """The command line of each child, by process id. Empty on systems that have neither /proc nor ps."""
    table = _from_proc() if Path("/proc/self/stat").exists() else _from_ps()
    return {
        pid: command
        for pid, (parent_pid, state, command) in table.items()
        if parent_pid == parent and not state.startswith("Z") and _NOT_THE_MEMORYS not in command
    }


def end_processes(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


_Table = dict[int, tuple[int, str, str]]


def _from_proc() -> _Table:
    table: _Table = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                table[int(folder.name)] = int(parent), state, command
    return table


def _from_ps() -> _Table:
    try:
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    table: _Table = {}
    for line in listing.stdout.splitlines():
        pid, parent, state, command = [*line.split(None, 3), "", "", "", ""][:4]
        if command and not command.startswith("ps "):
            table[int(pid)] = int(parent), state, command
    return table
