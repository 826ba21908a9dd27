"""Measure the wall time and peak memory of a whole offline run, including start-up.

    python benchmarks/perf/offline_run.py --data locomo10.json
    python benchmarks/perf/offline_run.py --dataset synthetic_longmemeval --set dataset.histories=500 \\
        --backend engram --backend bm25

Arguments are those of `engram-eval run`. The command runs twice, the second time with a warm embedding cache. Absolute times
are only comparable on one machine, so the script also runs `--backend none`, which remembers nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(arguments: list[str], cache: Path) -> tuple[float, float, int]:
    """Wall seconds, peak resident MB and number of records of one `engram-eval run`."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "engram_eval", "run", *arguments, "--out", str(run)]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ENGRAM_EVAL_CACHE": str(cache)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if os.waitstatus_to_exitcode(status):
            raise SystemExit(f"failed: {' '.join(command)}")
        summary = json.loads((run / "summary.json").read_text())
        records = sum(
            measured["n"] for backend in summary["backends"].values() for measured in backend["by_category"].values()
        )
        return seconds, usage.ru_maxrss / 1024, records


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        print(f"{'':6} {'wall s':>8} {'peak MB':>8} {'answers':>8} {'ms/answer':>10}")
        for name in ("cold", "warm"):
            seconds, megabytes, records = measure(arguments, cache)
            print(f"{name:6} {seconds:8.1f} {megabytes:8.0f} {records:8,} {1000 * seconds / records:10.1f}")
        other_arguments = [
            argument
            for i, argument in enumerate(arguments)
            if argument != "--backend" and arguments[i - 1 : i] != ["--backend"]
        ]
        seconds, megabytes, records = measure([*other_arguments, "--backend", "none", "--no-controls"], cache)
        print(f"{'none':6} {seconds:8.1f} {megabytes:8.0f} {records:8,} {1000 * seconds / records:10.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
