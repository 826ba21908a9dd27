"""Starts a worker and stays beside it: when the run's process ends, however it ends, the worker's process group is killed.

Run as a script, by `worker`: `python guard.py FILE_DESCRIPTOR COMMAND…`. The file descriptor is the end of a pipe whose other
end the run holds; the system closes that one even if the run is killed. It uses little of Python, because each worker waits
for it to start.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

_CANNOT_START = 127  # as a shell says it


def main() -> None:
    pipe, command = int(sys.argv[1]), sys.argv[2:]
    worker = os.fork()
    if worker == 0:
        os.close(pipe)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(_CANNOT_START)
    for stream in (0, 1):  # the worker's alone, so that its end is their end
        os.close(stream)
    threading.Thread(target=_kill_at_end_of, args=(pipe,), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _kill_at_end_of(pipe: int) -> None:
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
