"""A model that plays every role, behind a real HTTP server. It answers as a test sets it, and reports true token counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from engram_eval.language.tokens import token_counter
from tests.llm.server import Step, says, sends

Play = Callable[[dict[str, Any]], str]
_SYSTEMS = {
    "You sort the turns": "router",
    "You decide in which": "router",
    "You write the records": "extractor",
    "You write the diary": "extractor",
    "You write down facts": "extractor",
    "You write down how": "extractor",
    "grade": "judge",
    "You answer": "reader",
}


def role_of(body: dict[str, Any]) -> str:
    """By the first message: the system's, or the only one of a prompt of the user's own."""
    first = body["messages"][0]["content"]
    return next(role for words, role in _SYSTEMS.items() if words in first)


def material(body: dict[str, Any]) -> dict[str, Any]:
    """What router, extractor and judge are shown."""
    request: dict[str, Any] = json.loads(body["messages"][1]["content"])
    return request


def plays(**roles: Play) -> Callable[[dict[str, Any]], Step]:
    """A server's `answer`: each role as given, else as below."""

    def answer(body: dict[str, Any]) -> Step:
        role = role_of(body)
        text = {**_PLAYED, **roles}[role](body)
        count = token_counter().count
        prompt = sum(count(m["content"]) + 4 for m in body["messages"])
        prompt += count(json.dumps(body["response_format"])) if "response_format" in body else 0
        return says(text, prompt=prompt, completion=count(text))

    return answer


def embeds(chat: Callable[[dict[str, Any]], Step], dimensions: int = 26) -> Callable[[dict[str, Any]], Step]:
    """A server's `answer` that also embeds: by the letters that a text has."""

    def row(text: str) -> list[float]:
        letters = [float(letter in text.lower()) for letter in "abcdefghijklmnopqrstuvwxyz"]
        return (letters + [0.0] * dimensions)[:dimensions]

    def answer(body: dict[str, Any]) -> Step:
        if "input" not in body:
            return chat(body)
        rows = [{"index": i, "embedding": row(text)} for i, text in enumerate(body["input"])]
        return sends({"data": rows, "usage": {"prompt_tokens": 4 * len(rows)}})

    return answer


def routes(body: dict[str, Any]) -> str:
    """Whatever has a digit is an event, a question nothing, the rest a fact. A message alone gets its bits."""
    if "message" in material(body):
        text = material(body)["message"]
        event = re.search(r"\d", text) is not None
        return json.dumps({"episodic": event, "semantic": not event and not text.endswith("?"), "procedural": False})
    turns = material(body)["turns"]
    events = [turn["turn"] for turn in turns if re.search(r"\d", turn["text"])]
    facts = [turn["turn"] for turn in turns if turn["turn"] not in events and not turn["text"].endswith("?")]
    return json.dumps({"episodic": events, "semantic": facts, "procedural": []})


def extracts(body: dict[str, Any]) -> str:
    """Each turn's own words, with the speaker as the subject."""
    if "message" in material(body):
        text = f"{material(body)['speaker']} told: {material(body)['message']}"
        record = {"title": "News", "summary": text, "timestamp": "2023-05", "fact": text, "content": [text]}
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        return json.dumps({field: record[field] for field in fields})
    turns = [turn for turn in material(body)["turns"] if turn.get("memories")]
    texts = {turn["turn"]: f"{turn['speaker']} told: {turn['text']}" for turn in turns}

    def turns_of(kind: str) -> list[int]:
        return [turn["turn"] for turn in turns if kind in turn["memories"]]

    return json.dumps(
        {
            "episodic": [
                {"turns": [n], "title": "News", "summary": texts[n], "when": "2023-05"} for n in turns_of("episodic")
            ],
            "semantic": [{"turns": [n], "fact": texts[n], "when": ""} for n in turns_of("semantic")],
            "procedural": [
                {"turns": [n], "title": "How", "content": texts[n], "when": ""} for n in turns_of("procedural")
            ],
        }
    )


def reads(body: dict[str, Any]) -> str:
    """The last line of the memories, at most six words of it."""
    memories = body["messages"][-1]["content"].partition("\n\nQuestion:")[0]
    return " ".join(memories.splitlines()[-1].split()[:6])


def judges(body: dict[str, Any]) -> str:
    """By the gold in the answer; in a prompt of the user's own, where they cannot be told apart, everything is right."""
    if "gold answer" not in body["messages"][-1]["content"]:
        return json.dumps({"label": "CORRECT"}) if "response_format" in body else "yes"
    shown = material(body)
    right = shown["gold answer"].lower() in shown["answer to grade"].lower()
    reason = (
        "The answer to grade states what the gold answer says, in so many words, and so it counts as right or wrong."
    )
    return json.dumps({"reason": reason, "verdict": "CORRECT" if right else "WRONG"})


_PLAYED: dict[str, Play] = {"router": routes, "extractor": extracts, "reader": reads, "judge": judges}
