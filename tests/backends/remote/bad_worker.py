"""A worker that misbehaves when a certain message comes. It imports nothing but Python, as a worker in any language would.

python bad_worker.py BEHAVIOUR MESSAGE FOLDER
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

BEHAVIOUR, AT, FOLDER = sys.argv[1:4]
REPLIES: dict[str, dict[str, object]] = {"info": {"protocol": 1}, "retrieve": {"hits": ["fine"]}}


def note_process(name: str, pid: int) -> None:
    part = Path(FOLDER, name + ".part")
    part.write_text(str(pid))
    part.rename(Path(FOLDER, name))


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def misbehave(number: int) -> None:
    note_process("worker.pid", os.getpid())
    if BEHAVIOUR in ("crashes", "leaves-child"):
        if BEHAVIOUR == "leaves-child":  # which holds the worker's output open
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            note_process("child.pid", child.pid)
        sys.stderr.write("loading\n\nMemoryError: no room\n")
        sys.stderr.flush()
        os._exit(3)
    elif BEHAVIOUR == "killed":
        os.kill(os.getpid(), 9)
    elif BEHAVIOUR == "hangs":
        time.sleep(600)
    elif BEHAVIOUR == "half-a-line":
        write(f'{{"id": {number}, "hi')
        os._exit(0)
    elif BEHAVIOUR == "closes-output":
        os.close(1)
        time.sleep(600)
    elif BEHAVIOUR == "100-MB":
        for _ in range(100):
            write("x" * 1_000_000)
    elif BEHAVIOUR == "noise":
        write("Loading model ... 100 %\n")
    elif BEHAVIOUR == "another-id":
        write('{"id": 99, "hits": []}\n')
    elif BEHAVIOUR == "error":
        write(json.dumps({"id": number, "error": "no index\nfor this"}) + "\n")
    elif BEHAVIOUR == "lies":
        write(json.dumps({"id": number, "hits": [{"text": 3}], "protocol": "one", "ready": 7, "warnings": 1}) + "\n")


for line in sys.stdin:
    message = json.loads(line)
    if message["message"] == AT:
        misbehave(message["id"])
        if BEHAVIOUR in ("error", "lies"):
            continue
    write(json.dumps({"id": message["id"], **REPLIES.get(message["message"], {})}) + "\n")
