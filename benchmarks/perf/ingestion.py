"""Measure how close the ingestion of ten conversations by a slow model is to the ideal time.

    python benchmarks/perf/ingestion.py [BACKEND]

A local server answers every call of router and extractor after 500 ms, with up to 64 calls in flight. The ideal time is
calls x 0.5 s / 64. The script prints the ratio of the time of the whole command to it, from start to exit, and of the time
from the first call to the last answer. The default backend is engram:paper, with one message a call; engram:batched makes few
calls a conversation, which only overlap if conversations do.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from engram_eval.datasets.synthetic import locomo_records, write_json_array

_IN_FLIGHT = 64
_DELAY_S = 0.5
_CONVERSATIONS, _SESSIONS, _TURNS = 10, 27, 588  # as LoCoMo

_REPLIES: dict[str, dict[str, object]] = {
    "You decide in which": {"episodic": False, "semantic": True, "procedural": False},
    "You write down facts": {"fact": "Ann has a dog."},
    "You sort the turns": {"episodic": [], "semantic": [1, 2, 3], "procedural": []},
    "You write the records": {
        "episodic": [], "semantic": [{"turns": [1, 2, 3], "fact": "Ann has a dog.", "when": ""}], "procedural": [],
    },
}  # fmt: skip


def _serve(listening: socket.socket, report: Connection) -> None:
    """Answers by the first words of the prompt, and reports the number of calls and the seconds from the first to the last."""

    def response(reply: dict[str, object]) -> bytes:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(reply)}}
        usage = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
        body = json.dumps(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        )
        return (
            f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )

    responses = {words.encode(): response(reply) for words, reply in _REPLIES.items()}
    calls, first, last = 0, 0.0, 0.0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls, first, last
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"get"):  # for its models
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                first = first or time.perf_counter()
                calls += 1
                await asyncio.sleep(_DELAY_S)
                writer.write(next(text for words, text in responses.items() if words in body))
                await writer.drain()
                last = time.perf_counter()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(handle, sock=listening)
        await asyncio.to_thread(report.recv)
        report.send((calls, last - first))
        server.close()

    asyncio.run(serve())


def _ingest(url: str, folder: str, backend: str) -> tuple[float, float]:
    """The seconds that the command takes, and its CPU seconds. One offline question a conversation: a run asks something."""
    data = Path(folder) / "locomo.json"
    write_json_array(locomo_records(conversations=_CONVERSATIONS, sessions=_SESSIONS, turns=_TURNS), data)
    command = [
        sys.executable, "-m", "engram_eval", "run", "--data", str(data), "--backend", backend, "--no-controls",
        "--reader", "offline", "--judge", "offline", "--model", "gpt-4o-mini", "--base-url", url,
        "--max-in-flight", str(_IN_FLIGHT), "--limit", "40", "--out", f"{folder}/run",
    ]  # fmt: skip
    environment = {**os.environ, "ENGRAM_EVAL_CACHE": f"{folder}/cache", "OPENAI_API_KEY": "none"}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run failed: {' '.join(command)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def main(backend: str) -> None:
    here, there = multiprocessing.Pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening, tempfile.TemporaryDirectory() as folder:
        server = multiprocessing.get_context("fork").Process(target=_serve, args=(listening, there), daemon=True)
        server.start()
        seconds, cpu_s = _ingest(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", folder, backend)
        here.send("end")
        calls, busy = here.recv()
        server.terminate()
    ideal = calls * _DELAY_S / _IN_FLIGHT
    print(f"{backend}, {_CONVERSATIONS} conversations of {_TURNS} turns: {calls:,} calls of {_DELAY_S} s,")
    print(f"  {_IN_FLIGHT} in flight; {1000 * cpu_s / calls:.1f} ms CPU per call, start-up included")
    print(f"  {seconds:.1f} s from start to exit: {seconds / ideal:.2f} x the ideal {ideal:.1f} s")
    print(f"  {busy:.1f} s from the first call to the last answer: {busy / ideal:.2f} x")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "engram:paper")
