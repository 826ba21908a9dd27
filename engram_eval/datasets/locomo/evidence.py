"""LoCoMo's evidence ids, also where they are malformed: lists, ranges, leading zeros, stray colons."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_ID = re.compile(r"(?:D\s*:?\s*(\d{1,9})\s*:\s*|(?<![\d:]))(\d{1,9})(?![\d:])", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:-|–|—|~|\.\.+|…|to|through)\s*", re.IGNORECASE)
_LIST = re.compile(r"(?:[\s,;/&+|()\[\]{}'\"]|\band\b)*", re.IGNORECASE)
_LONGEST_RANGE = 200  # turns; LoCoMo's longest session has 47


def parse_evidence(text: str, turn_ids: Collection[str]) -> tuple[list[str], bool]:
    """The turn ids in `text`, in order, and whether all of the text could be read.

    It reads `D1:1, 3`, `D1:1-3`, `D1:1-D1:3`, `D1:1; D2:3`, `D:1:03`, and known ids of any form between commas, semicolons or
    spaces. Ids that match no turn are among the result.
    """
    parts = [part for part in re.split(r"[;,\s]+", text) if part]
    if parts and all(part in turn_ids for part in parts):
        return parts, True
    ids: list[str] = []
    complete, end = True, 0
    session = turn = 0
    for match in _ID.finditer(text):
        between, end = text[end : match.start()], match.end()
        if not match[1] and not session:  # a number that follows no session
            complete = False
            continue
        number, same_session = int(match[2]), not match[1] or int(match[1]) == session
        if ids and _RANGE.fullmatch(between):
            if same_session and abs(number - turn) <= _LONGEST_RANGE:
                ids += [f"D{session}:{n}" for n in _between(turn, number)]
            else:
                complete = False
        elif not _LIST.fullmatch(between):
            complete = False
            if not match[1]:  # a number in words, as in "D1:1 (asked 3 times)"
                continue
        session, turn = int(match[1] or session), number
        ids.append(f"D{session}:{turn}")
    return list(dict.fromkeys(ids)), complete and bool(ids) and _LIST.fullmatch(text[end:]) is not None


def plain_id(turn_id: str) -> str:
    """`D01:3` and `d1:03` as `D1:3`; an id of another form as it is."""
    match = _ID.fullmatch(turn_id)
    return f"D{int(match[1])}:{int(match[2])}" if match and match[1] else turn_id


def _between(first: int, last: int) -> Iterator[int]:
    step = 1 if last >= first else -1
    return iter(range(first + step, last, step))
