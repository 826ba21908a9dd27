"""Measure how close a run with a slow model is to the ideal time, and the overhead of the harness over bare clients.

    python benchmarks/perf/llm_run.py

A local server answers every call. First it waits 500 ms per call, with 64 calls in flight: 2,000 questions make 4,000 calls,
and the ideal time is 4,000 x 0.5 s / 64. The same run is repeated from the cache. Then the server answers immediately, and the
script prints calls per second and CPU per call of a bare HTTP client, of a bare loop over the SDK, of our client, and of the
whole harness (2,000 questions minus 10 questions), and the peak memory with 1,000 and with 10,000 questions.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

_IN_FLIGHT = 64
_QUESTIONS = 2000
_DELAY_S = 0.5
_CALLS = 2000


def _serve(listening: socket.socket, delay_s: float) -> None:
    """Answers the calls of a reader with text and those of a judge with a verdict, after the delay."""

    def reply(text: str) -> bytes:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 900, "completion_tokens": 5, "total_tokens": 905}
        body = json.dumps(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        )
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
            len(body),
            body.encode(),
        )

    answer, verdict = reply("Paris, in May"), reply('{"reason": "same", "verdict": "CORRECT"}')

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"get"):  # for its models
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                if delay_s:
                    await asyncio.sleep(delay_s)
                writer.write(verdict if b"response_format" in body else answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(handle, sock=listening)
        await server.serve_forever()

    asyncio.run(serve())


def _with_server(delay_s: float, work: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(listening, delay_s), daemon=True)
        process.start()
        try:
            work(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        finally:
            process.terminate()
            process.join()


@dataclass(frozen=True)
class _Usage:
    seconds: float
    cpu_s: float
    peak_mb: float


def _run(url: str, folder: str, name: str, *arguments: str) -> _Usage:
    """Runs one whole command in a process of its own."""
    command = [
        sys.executable, "-m", "engram_eval", "run", "--dataset", "synthetic", "--backend", "bm25", "--no-controls",
        "--reader", "llm", "--judge", "llm", "--model", "gpt-4o-mini", "--base-url", url,
        "--max-in-flight", str(_IN_FLIGHT), "--out", f"{folder}/{name}", *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "ENGRAM_EVAL_CACHE": f"{folder}/cache", "OPENAI_API_KEY": "none"}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run {name} failed: {' '.join(command)}")
    return _Usage(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _measure_slow_server(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, cached = (_run(url, folder, name) for name in ("first", "cached"))
    with tempfile.TemporaryDirectory() as folder:
        start_up = _run(url, folder, "few", "--limit", "10")
    ideal = 2 * _QUESTIONS * _DELAY_S / _IN_FLIGHT
    print(f"{_QUESTIONS:,} questions, {_DELAY_S} s per call, {_IN_FLIGHT} in flight: {first.seconds:.1f} s,")
    print(
        f"  {first.seconds / ideal:.2f} x the ideal {ideal:.1f} s; 10 questions take {start_up.seconds:.1f} s, start-up,"
    )
    print(f"  without which it is {(first.seconds - start_up.seconds) / ideal:.2f} x.")
    print(f"  The same run from the cache: {cached.seconds:.1f} s.")


def _measure_harness(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = _run(url, folder, "few", "--limit", "10"), _run(url, folder, "many")
        calls = 2 * (_QUESTIONS - 10)
        seconds, cpu = many.seconds - few.seconds, many.cpu_s - few.cpu_s
        print(f"{'whole harness':16} {calls / seconds:8,.0f} calls/s {1000 * cpu / calls:8.2f} ms CPU per call")
    with tempfile.TemporaryDirectory() as folder:
        peaks = [
            _run(url, folder, str(conversations), "--set", f"dataset.conversations={conversations}").peak_mb
            for conversations in (5, 50)
        ]
        print(f"peak memory: {peaks[0]:.0f} MB with 1,000 questions, {peaks[1]:.0f} MB with 10,000")


def _measure_clients(url: str) -> None:
    asyncio.run(_compare_clients(url))


async def _compare_clients(url: str) -> None:
    import aiohttp
    import openai

    from engram_eval.llm import LLM, LLMSettings

    def messages(i: int) -> list[dict[str, str]]:
        return [{"role": "user", "content": f"{'Ann: I ran a charity race last Saturday. ' * 80}\nQuestion {i}?"}]

    sdk = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    http = aiohttp.ClientSession()
    with tempfile.TemporaryDirectory() as folder:
        llm = LLM(LLMSettings(base_url=url, max_in_flight=_IN_FLIGHT), Path(folder), api_key="none")

        async def call_sdk(i: int) -> object:
            return await sdk.chat.completions.create(model="gpt-4o-mini", messages=messages(i))  # type: ignore[arg-type]

        async def call_http(i: int) -> object:
            body = {"model": "gpt-4o-mini", "messages": messages(i)}
            async with http.post(f"{url}/chat/completions", json=body) as response:
                return await response.json()

        await _time_calls("bare HTTP", call_http)
        sdk_cost = await _time_calls("bare SDK", call_sdk)
        our_cost = await _time_calls(
            "client", lambda i: llm.chat(role="reader", model="gpt-4o-mini", messages=messages(i))
        )
        await _time_calls(
            "client, cached", lambda i: llm.chat(role="reader", model="gpt-4o-mini", messages=messages(i))
        )
        print(f"  CPU per call: {our_cost / sdk_cost:.2f} x the bare SDK's")
        await llm.close()
    await http.close()
    await sdk.close()


async def _time_calls(name: str, call: Callable[[int], Awaitable[object]]) -> float:
    await call(-1)  # connections, imports
    numbers = iter(range(_CALLS))

    async def worker() -> None:
        for i in numbers:
            await call(i)

    started, cpu = time.perf_counter(), _cpu_s()
    await asyncio.gather(*(worker() for _ in range(_IN_FLIGHT)))
    seconds, cpu = time.perf_counter() - started, _cpu_s() - cpu
    print(f"{name:16} {_CALLS / seconds:8,.0f} calls/s {1000 * cpu / _CALLS:8.2f} ms CPU per call")
    return cpu


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _with_server(_DELAY_S, _measure_slow_server)
    _with_server(0.0, _measure_clients)
    _with_server(0.0, _measure_harness)
