"""Whether unusual turns, sessions, questions and paths do any harm."""

from __future__ import annotations

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import Dialogue, Needle, first_dialogue, short_dialogue
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.trial import Trial

_EMOJI_NEEDLE = Needle("I named my new parrot Zephyrine 🦜👩‍👩‍👧.", "What is the name of the parrot?", "Zephyrine")
_EMOJI_TURNS = (
    "🎉🎉🎉",
    "Grüße aus Köln, naïve café!",
    "我昨天买了一辆自行车。",
    "مرحبا كيف حالك؟",
    "e\u0301\u200d\ufeff <|endoftext|> \\n %s {0}",
)
_WORDLESS_TURNS = ("", "   ", "…", "?!", "\n")
_LONG_TURN = "The harbour was full of small boats and the wind had turned to the north again. " * 250
_QUERIES = {
    "an empty query": "",
    "a query of spaces": "   ",
    "a query with quotes": """What is "the name' of the 'parrot"?""",
    "a query with operators": "parrot AND (name OR NOT) NEAR(parrot, 3)",
    "a query with wildcards": "par* % _ ? [a-z] ^ ~2",
    "a query with a column": "text:parrot -name +parrot",
    "a query with an SQL statement": "'; DROP TABLE turns; --",
    "a query with a backslash": "parrot\\",
    "a query with braces": "{parrot} ${name} {{x}} %s",
    "a query with emoji": "🦜?",
    "a query in another script": "鹦鹉叫什么名字？",
    "a query of 2,000 words": "parrot name " * 1000,
    "a query of two lines": "What is the name\nof the parrot?",
}


async def _require_found(trial: Trial, dialogue: Dialogue, oddity: str) -> None:
    """Raises Failed if the needle is not found in a dialogue with an oddity."""
    async with trial.filled(dialogue) as memory:
        context = await memory.retrieve(dialogue.needle.question, evidence=(dialogue.needle_turn.id,))
    if not trial.info.control and not dialogue.needle.found_in(context):
        raise Failed(
            f"in a conversation with {oddity}, {dialogue.needle.text!r} is not found for {dialogue.needle.question!r}; "
            "make sure that one odd turn does not hide or stop the others"
        )


async def _wordless(trial: Trial) -> None:
    await _require_found(trial, short_dialogue(_WORDLESS_TURNS), "turns that have no words")


async def _emoji(trial: Trial) -> None:
    dialogue = short_dialogue(_EMOJI_TURNS, _EMOJI_NEEDLE)
    await _require_found(trial, dialogue, "emoji and other scripts")
    if trial.info.control or trial.info.paraphrases:
        return
    async with trial.filled(dialogue) as memory:
        context = await memory.retrieve(dialogue.needle.question)
    if "🦜" not in context.text:
        raise Failed("the context has a turn without its emoji; keep texts as they are, in UTF-8")


async def _long_turn(trial: Trial) -> None:
    await _require_found(
        trial, short_dialogue(["What did you see?", _LONG_TURN[:20_000]]), "a turn of 20,000 characters"
    )


async def _no_date(trial: Trial) -> None:
    dialogue = short_dialogue(["Hello Bob!", "Hello Ann, how are you?"], dated=False)
    await _require_found(trial, dialogue, "sessions without a date (started_at is None)")


async def _queries(trial: Trial) -> None:
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        before = await memory.retrieve(dialogue.needle.question)
        for what, query in _QUERIES.items():
            context = await memory.retrieve(query, remark=f"for {what}")
            if unknown := [turn_id for turn_id in context.turn_ids if turn_id not in dialogue.turns]:
                raise Failed(f"for {what} the context names turn {unknown[0]!r}, which the conversation does not have")
        after = await memory.retrieve(dialogue.needle.question)
    if dialogue.needle.found_in(before) and not dialogue.needle.found_in(after):
        raise Failed(
            "after some odd queries the memory has lost a turn; pass a query as data, never as part of a statement"
        )


async def _odd_path(trial: Trial) -> None:
    dialogue = first_dialogue()
    folder = trial.new_folder("möwe und 鳥 (1) %3a 'x'")
    try:
        async with trial.filled(dialogue, folder=folder) as memory:
            context = await memory.retrieve(dialogue.needle.question)
    except Failed as failure:
        raise Failed(f"in a folder whose path has spaces and other scripts, {failure}") from failure
    if trial.info.control:
        raise NotApplicable("the backend is a control, which need not find anything")
    if not dialogue.needle.found_in(context):
        async with trial.filled(dialogue) as memory:
            usual = await memory.retrieve(dialogue.needle.question)
        if dialogue.needle.found_in(usual):
            raise Failed(
                "nothing is found if services.folder has spaces or other scripts in its path; pass paths as they are"
            )


CHECKS = (
    Check("wordless-turns", "Turns without words do no harm.", _wordless),
    Check("emoji", "Emoji and other scripts do no harm.", _emoji),
    Check("long-turn", "A turn of 20,000 characters does not hide the others.", _long_turn),
    Check("no-date", "Sessions without a date do no harm.", _no_date),
    Check("queries", "Queries that are empty, long, or have quotes and operators do no harm.", _queries),
    Check("odd-path", "The folder's path may have spaces, quotes and other scripts.", _odd_path),
)
