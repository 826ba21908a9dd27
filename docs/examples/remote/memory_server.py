"""A memory on a server, with Python's standard library alone: it finds turns by the words that they share with the question.

python docs/examples/remote/memory_server.py 9000
engram-eval run --dataset synthetic --limit 20 --backend http://localhost:9000 --set words.most=50
"""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INFO = {"protocol": 1, "name": "words", "version": "1", "settings": {"most": 100}}


class WordMemory:
    def __init__(self, message: dict[str, Any]) -> None:
        self.most = int(message["settings"].get("most", INFO["settings"]["most"]))  # type: ignore[index]
        self.hits: list[dict[str, Any]] = []

    def ingest(self, message: dict[str, Any]) -> dict[str, Any]:
        session = message["session"]
        for turn in session["turns"]:
            text = f"{turn['speaker']}: {turn['text']}"
            self.hits.append({"text": text, "turn_ids": [turn["id"]], "date": session["started_at"]})
        return {}

    def ready(self, _message: dict[str, Any]) -> dict[str, Any]:
        return {"ready": True}

    def retrieve(self, message: dict[str, Any]) -> dict[str, Any]:
        scored = [{**hit, "score": len(words(message["query"]) & words(hit["text"]))} for hit in self.hits]
        found = sorted(scored, key=lambda hit: -hit["score"])[: self.most]
        return {"hits": [hit for hit in found if hit["score"]]}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one piece: the second of two would wait 40 ms for the client's acknowledgement
    memories: dict[str, WordMemory] = {}  # noqa: RUF012 - shared by all requests

    def do_GET(self) -> None:
        self.reply(200, INFO) if self.path == "/v1/info" else self.reply(404, {"error": f"there is no {self.path}"})

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match = re.fullmatch(r"/v1/memories/([\w-]+)/(open|ingest|ready|retrieve|close)", self.path)
        if not match:
            self.reply(404, {"error": f"there is no {self.path}"})
            return
        memory_id, name = match.groups()
        try:
            if name == "open":
                self.memories[memory_id] = WordMemory(message)
                self.reply(200, {})
            elif name == "close":
                self.memories.pop(memory_id, None)
                self.reply(200, {})
            elif memory_id not in self.memories:
                self.reply(404, {"error": f"no memory {memory_id} is open"})
            else:
                self.reply(200, getattr(self.memories[memory_id], name)(message))
        except (KeyError, TypeError, ValueError) as error:
            self.reply(400, {"error": f"{type(error).__name__}: {error}"})

    def reply(self, status: int, fields: object) -> None:
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None: ...


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), Handler)
    print(f"http://localhost:{server.server_port}", flush=True)
    server.serve_forever()
