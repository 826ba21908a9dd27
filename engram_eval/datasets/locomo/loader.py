"""Reads LoCoMo (Maharana et al., ACL 2024; snap-research/locomo): two people, some thirty sessions over months.

Its oddities, and the rule for each (`engram-eval datasets check` counts them):

- Six gold answers are numbers: read as text.
- Category 5 asks about things that were never said. Its records hold `adversarial_answer`, the wrong answer that the
  question suggests, and mostly no `answer`: the question is unanswerable, whatever they hold.
- Some evidence ids are malformed ("D8:6; D9:17", "D:11:26", "D30:05", and in edited files "D1:1, 3" or "D1:1-3"): every id in
  them is used (evidence.py); ids that match no turn are dropped.
- A few questions have no evidence: kept, and left out of retrieval metrics.
- Some dates belong to no session: ignored. Sessions without turns: left out.
- Captions of shared images (`blip_caption`, or any other key with "caption" in it) carry evidence: they are part of the
  turn's text.
- Sessions may be spelled `session_02` or `Session 2`. Two spellings of one number are a fault.
- Keys that are not read are named, except those of the official file that hold no part of the dialogue.
- Some question texts occur twice in a conversation: a question's id is its position in `qa`, never its text.
- Questions have no date: `asked_at` is None.

The first release had one file per conversation: a folder or a zip of such files is read too; other files in it are passed
over. In some of these files the sessions are next to `qa`, not under `conversation`.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from engram_eval.datasets import source
from engram_eval.datasets.dataset import Notes, in_time_order, note_unread_keys
from engram_eval.datasets.locomo.evidence import parse_evidence, plain_id
from engram_eval.datasets.source import Remote
from engram_eval.errors import UserError
from engram_eval.system.file_format import HEAD, refuse_other_formats
from engram_eval.system.files import read_bytes
from engram_eval.system.json_input import Node, parse_json, read_json, unreadable
from engram_eval.types import Conversation, ConversationInfo, Question, Sample, Session, Turn

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ADVERSARIAL = 5
NOT_MENTIONED = "not mentioned in the conversation"
OFFICIAL = Remote(
    url="https://raw.githubusercontent.com/snap-research/locomo/main/data/locomo10.json",
    file="locomo10.json",
    sha256="79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4",
)
_OFFICIAL_IDS = {f"conv-{n}" for n in (26, 30, 41, 42, 43, 44, 47, 48, 49, 50)}
_OFFICIAL_COUNTS = {"multi-hop": 282, "temporal": 321, "open-domain": 96, "single-hop": 841, "adversarial": 446}
_FORM = "the official locomo10.json"

KEYS = re.compile(rb'"(?:sample_id|qa|dia_id)"\s*:')
"""What a file of LoCoMo is recognised by."""
_CONVERSATION = re.compile(rb'"(?:dia_id|session_\d+)"\s*:', re.IGNORECASE)

_SESSION = re.compile(r"session[ _-]?(\d{1,9})", re.IGNORECASE)
_SESSION_DATE = re.compile(r"session[ _-]?(\d{1,9})[ _-]?(?:date[ _-]?time|date|time|timestamp)", re.IGNORECASE)
_CAPTION = re.compile("caption", re.IGNORECASE)
_RECORD_KEYS = {"sample_id", "conversation", "qa", "event_summary", "observation", "session_summary"}
_SPEAKER_KEYS = {"speaker_a", "speaker_b"}
_TURN_KEYS = {
    "dia_id", "speaker", "text", "clean_text", "compressed_text", "img_url", "img_file", "img_id", "query", "search_query",
    "re-download",
}  # fmt: skip
_QUESTION_KEYS = {"question", "answer", "adversarial_answer", "evidence", "category"}


def read_samples(path: Path, notes: Notes) -> Iterator[Sample]:
    ids = set()
    for node, fallback_id in _records(path, notes):
        record = node.as_record("sample_id")
        try:
            sample = sample_from_record(record, notes, fallback_id)
            if sample.conversation.id in ids:
                raise record.fault(f"sample_id {sample.conversation.id!r} occurs twice")
        except UserError as fault:
            notes.bad_record(fault)
        else:
            ids.add(sample.conversation.id)
            yield sample


def _records(path: Path, notes: Notes) -> Iterator[tuple[Node, str]]:
    """The conversations' records, each with the id to use if it has none."""
    if path.is_dir() or path.suffix == ".zip":
        yield from _records_of_members(path, notes)
    else:
        yield from _records_of(read_json(path, _FORM), path)


def _records_of_members(path: Path, notes: Notes) -> Iterator[tuple[Node, str]]:
    """The records of all LoCoMo files in a folder or a zip. Other files are passed over."""
    empty = True
    for member, content in _members(path):
        if not _CONVERSATION.search(content):
            notes.doubt("files that hold no LoCoMo conversation: passed over", member.name)
            continue
        empty = False
        try:
            root = parse_json(content, member, _FORM)
        except UserError as fault:
            notes.bad_record(fault)
        else:
            yield from _records_of(root, member)
    if empty:
        raise UserError(
            f"{path}: holds no .json file of LoCoMo; name a folder or a zip of LoCoMo files, or locomo10.json"
        )


def _members(path: Path) -> Iterator[tuple[Path, bytes]]:
    """The .json files of a folder or a zip, in the order of their numbers, with their content."""
    if path.is_dir():
        for file in sorted(path.glob("*.json"), key=lambda file: (_number(file.stem), file.name)):
            if file.is_file():
                yield file, read_bytes(file, fix="check the folder given with --data")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name]
            for name in sorted(names, key=lambda name: (_number(Path(name).stem), name)):
                yield path / name, archive.read(name)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        refuse_other_formats(path, read_bytes(path, fix="fetch it again")[:HEAD], allow_zip=True)
        raise UserError(f"{path}: not a readable zip file ({error}); fetch it again") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _records_of(root: Node, path: Path) -> Iterator[tuple[Node, str]]:
    if not isinstance(root.value, list):
        yield root, f"conv-{_number(path.stem) or path.stem}"
        return
    if not root.value:
        raise root.fault("the list is empty")
    for i, record in enumerate(root.items()):
        yield record, f"conv-{i}"


def _number(stem: str) -> int:
    digits = re.match(r"\d{1,9}", stem)
    return int(digits[0]) if digits else 0


def sample_from_record(record: Node, notes: Notes, fallback_id: str = "conv-0") -> Sample:
    """One conversation in the official format."""
    conversation_id = record.get("sample_id").scalar() if record.has("sample_id") else fallback_id
    holder = record.get("conversation") if record.has("conversation") else record
    sessions = _sessions(holder, conversation_id, notes)
    note_unread_keys(
        {key: value for key, value in {**record.value, **holder.value}.items() if not _is_session_key(key)},
        _RECORD_KEYS | _SPEAKER_KEYS, notes, "a conversation", conversation_id,
    )  # fmt: skip
    speakers = tuple(dict.fromkeys(turn.speaker for session in sessions for turn in session.turns))
    conversation = Conversation(ConversationInfo(conversation_id, speakers), sessions)
    session_of = {turn.id: session.id for session in sessions for turn in session.turns}
    questions = []
    for i, node in enumerate(record.get("qa").items()):
        try:
            questions.append(_question(node, f"{conversation_id}:q{i}", conversation_id, session_of, notes))
        except UserError as fault:  # the others keep their places, and so their ids
            notes.bad_record(fault)
    for text, count in Counter(question.text for question in questions).items():
        if count > 1:
            notes.add("question texts that occur more than once: kept apart by id", f"{conversation_id}: {text}")
    return Sample(conversation, tuple(questions))


def _is_session_key(key: str) -> bool:
    return bool(_SESSION.fullmatch(key) or _SESSION_DATE.fullmatch(key))


def _sessions(record: Node, conversation_id: str, notes: Notes) -> tuple[Session, ...]:
    """The sessions that have turns, in time order."""
    turn_keys, date_keys = _by_number(record, _SESSION), _by_number(record, _SESSION_DATE)
    sessions = []
    for number, key in sorted(turn_keys.items()):
        nodes = record.get(key).items() if record.has(key) else []
        turns = tuple(_turn(node, conversation_id, notes) for node in nodes)
        if not turns:
            notes.add("sessions without turns: left out", f"{conversation_id} {key}")
            continue
        date_key = date_keys.get(number)
        started_at = _datetime(record.get(date_key)) if date_key and record.has(date_key) else None
        if started_at is None:
            notes.doubt("sessions without a date: kept, undated", f"{conversation_id} {key}")
        sessions.append(Session(f"D{number}", started_at, turns))
    for number, key in date_keys.items():
        if number not in turn_keys:
            notes.add("dates without a session: left aside", f"{conversation_id} {key}")
    if not sessions:
        raise record.fault("there is no session with turns (session_1, session_2, …)")
    seen: set[str] = set()
    for turn in (turn for session in sessions for turn in session.turns):
        if turn.id in seen:
            raise record.fault(f"dia_id {turn.id!r} occurs twice")
        seen.add(turn.id)
    ordered = in_time_order(sessions)
    if ordered != tuple(sessions):
        notes.add("sessions numbered out of time order: put in time order", conversation_id)
    return ordered


def _by_number(record: Node, form: re.Pattern[str]) -> dict[int, str]:
    """The keys of that form by their number. Raises UserError if two have the same number."""
    keys: dict[int, str] = {}
    for key in record.names():
        if match := form.fullmatch(key):
            number = int(match[1])
            if number in keys:
                raise record.fault(f"{keys[number]!r} and {key!r} are two spellings of session {number}; rename one")
            keys[number] = key
    return keys


def _turn(node: Node, conversation_id: str, notes: Notes) -> Turn:
    turn_id = node.get("dia_id").text()
    # The first release names the text of a turn "clean_text".
    text = next((node.get(key).text().strip() for key in ("text", "clean_text") if node.has(key)), None)
    place = f"{conversation_id} {turn_id}"
    captions = [f"[image: {caption}]" for caption in _captions(node)]
    if text is None and not captions:
        raise node.fault("'text' is missing")
    if captions:
        notes.add("captions of shared images: read as text of the turn", place)
    elif not text:
        notes.doubt("turns without text: kept", place)
    values = {key: value for key, value in node.value.items() if not _CAPTION.search(key)}
    note_unread_keys(values, _TURN_KEYS, notes, "a turn", place)
    return Turn(turn_id, node.get("speaker").text(), " ".join(part for part in (text, *captions) if part))


def _captions(node: Node) -> list[str]:
    """The distinct captions of a turn, under whatever key. A key may hold a list of them."""
    nodes = [node.get(key) for key in node.names() if _CAPTION.search(key) and node.has(key)]
    texts = [part for caption in nodes for part in (caption.items() if isinstance(caption.value, list) else [caption])]
    return list(dict.fromkeys(caption for part in texts if (caption := part.text().strip())))


def _datetime(node: Node) -> datetime:
    text = " ".join(node.text().split())
    for form in ("%I:%M %p on %d %B, %Y", "%d %B, %Y", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise node.fault(f"{text[:40]!r} is not a date like '1:56 pm on 8 May, 2023'")


def _question(
    node: Node, question_id: str, conversation_id: str, session_of: Mapping[str, str], notes: Notes
) -> Question:
    number = node.get("category").value
    if not isinstance(number, int) or isinstance(number, bool) or number not in CATEGORIES:
        raise node.fault(f"category {str(number)[:20]!r} is not a number from 1 to 5")
    note_unread_keys(node.value, _QUESTION_KEYS, notes, "a question", question_id)
    text = node.get("question").text()
    if not text.strip():
        raise node.fault("'question' is empty")
    unanswerable = number == ADVERSARIAL
    if unanswerable:
        gold = NOT_MENTIONED
        notes.add("category 5: unanswerable, scored as abstention", question_id)
    else:
        gold = node.get("answer").scalar()
        if not gold.strip():
            raise node.fault("'answer' is empty; no answer can be graded against it")
        if not isinstance(node.get("answer").value, str):
            notes.add("gold answers that are numbers: read as text", question_id)
    evidence = _evidence(node, question_id, session_of, notes)
    return Question(
        id=question_id,
        conversation_id=conversation_id,
        text=text,
        gold=gold,
        category=CATEGORIES[number],
        asked_at=None,
        evidence=evidence,
        evidence_sessions=tuple(dict.fromkeys(session_of[turn_id] for turn_id in evidence)),
        unanswerable=unanswerable,
    )


def _evidence(node: Node, question_id: str, session_of: Mapping[str, str], notes: Notes) -> tuple[str, ...]:
    turn_ids: list[str] = []
    for raw in _evidence_texts(node):
        if raw in session_of:
            turn_ids.append(raw)
            continue
        ids, complete = parse_evidence(raw, session_of)
        place = f"{question_id}: {raw!r}"
        if not ids:
            notes.doubt("evidence ids that match no turn: dropped", place)
        elif not complete:
            notes.doubt("malformed evidence ids: only the ids that could be read are used", place)
        elif ids != [raw]:
            notes.add("malformed evidence ids: every id in them is used", place)
        for turn_id in ids:
            if known := _known_id(turn_id, session_of):
                turn_ids.append(known)
            else:
                notes.doubt("evidence ids that match no turn: dropped", f"{question_id}: {turn_id!r}")
    if not turn_ids:
        notes.add("questions without evidence: kept, left out of retrieval metrics", question_id)
    return tuple(dict.fromkeys(turn_ids))


def _known_id(turn_id: str, known: Collection[str]) -> str | None:
    """The id as the conversation spells it; None if it has no such turn."""
    return turn_id if turn_id in known else next((each for each in known if plain_id(each) == turn_id), None)


def _evidence_texts(node: Node) -> list[str]:
    """The entries of `evidence`, which may be a list or one text."""
    if not node.has("evidence"):
        return []
    evidence = node.get("evidence")
    return [evidence.text()] if isinstance(evidence.value, str) else [entry.scalar() for entry in evidence.items()]


def differences(counts: Mapping[str, int], conversations: frozenset[str]) -> list[str]:
    """Differences from the published file, if this claims to be it: it holds the ten conversations with the known ids."""
    if conversations != _OFFICIAL_IDS:
        return []
    return [
        f"{category}: {counts.get(category, 0)} questions, {expected} in the official file"
        for category, expected in _OFFICIAL_COUNTS.items()
        if counts.get(category, 0) != expected
    ]


def sha256_of(path: Path) -> str:
    """Of the file; for a folder, of all files' names and contents in order."""
    if not path.is_dir():
        return source.sha256_of(path)
    try:
        digest = hashlib.sha256()
        for member in sorted(path.glob("*.json")):
            digest.update(member.name.encode() + b"\0" + member.read_bytes())
        return digest.hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None
