"""The synthetic benchmarks: official format, right answers, documented sizes, and neither trivial nor impossible to search."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import re
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from splintr import Tokenizer

from engram_eval.datasets.dataset import Notes
from engram_eval.datasets.locomo import loader as locomo
from engram_eval.datasets.longmemeval import loader as longmemeval
from engram_eval.datasets.synthetic import locomo_records, longmemeval_records, session_stream, write_json_array
from engram_eval.datasets.synthetic.dataset import TEXT_VERSION
from engram_eval.datasets.synthetic.language import slots_in
from engram_eval.datasets.synthetic.world import event_kinds
from engram_eval.language.words import content_stems
from engram_eval.system.json_input import Node
from tests.work import calls_made

Record = dict[str, Any]
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
COUNTS = {"three": 3, "four": 4, "five": 5, "six": 6, "nine": 9, "ten": 10}
_tokenizer = Tokenizer.from_pretrained("o200k_base")


@cache
def conversations() -> list[Record]:
    return list(locomo_records())


@cache
def histories() -> list[Record]:
    return list(longmemeval_records(histories=24))


def turns_of(record: Record) -> dict[str, Record]:
    """dia_id -> turn."""
    sessions = [value for value in record["conversation"].values() if isinstance(value, list)]
    return {turn["dia_id"]: turn for session in sessions for turn in session}


def turn_text(turn: Record) -> str:
    caption = f" [image: {turn['blip_caption']}]" if "blip_caption" in turn else ""
    return f"{turn['speaker']}: {turn['text']}{caption}"


def tokens(text: str) -> int:
    return len(_tokenizer.encode_ordinary(text))


def session_date(record: Record, dia_id: str) -> date:
    session = dia_id.removeprefix("D").split(":")[0]
    text = record["conversation"][f"session_{session}_date_time"]
    return datetime.strptime(text, "%I:%M %p on %d %B, %Y").date()


# Reproducible on every machine.


def test_a_record_depends_only_on_its_index_seed_and_sizes() -> None:
    assert list(locomo_records(conversations=2)) == conversations()[:2]
    assert list(longmemeval_records(histories=2)) == histories()[:2]
    assert next(locomo_records(seed=1)) != conversations()[0]
    assert next(longmemeval_records(seed=1)) != histories()[0]
    assert list(session_stream(sessions=3)) == list(session_stream(sessions=3))


def test_the_records_do_not_depend_on_the_process_or_its_hash_seed() -> None:
    code = (
        "import json, hashlib; from engram_eval.datasets.synthetic import *;"
        "records = [next(locomo_records(seed=5)), next(longmemeval_records(seed=5, tokens=9000))];"
        "print(hashlib.sha256(json.dumps(records).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_change_of_the_generated_text_raises_its_version() -> None:
    digest = hashlib.sha256()
    for record in [*conversations(), *histories(), next(locomo_records(seed=7, sessions=12, turns=150))]:
        digest.update(json.dumps(record).encode())
    assert (TEXT_VERSION, digest.hexdigest()[:16]) == (1, "bf72b2f30d149b02"), (
        "raise TEXT_VERSION, then write both here"
    )


# The official formats.


def test_locomo_records_have_the_official_format() -> None:
    for record in conversations():
        assert set(record) == {"sample_id", "conversation", "qa"}
        talk, turns = record["conversation"], turns_of(record)
        speakers = {talk["speaker_a"], talk["speaker_b"]}
        numbers = [int(key.split("_")[1]) for key, value in talk.items() if isinstance(value, list)]
        assert numbers == list(range(1, 31))
        times = [datetime.strptime(talk[f"session_{n}_date_time"], "%I:%M %p on %d %B, %Y") for n in numbers]
        assert all(earlier < later for earlier, later in pairwise(times))
        for number in numbers:
            session = talk[f"session_{number}"]
            assert [turn["dia_id"] for turn in session] == [f"D{number}:{i + 1}" for i in range(len(session))]
            assert all(turn["speaker"] in speakers and turn["text"] for turn in session)
            assert all(a["speaker"] != b["speaker"] for a, b in pairwise(session))
        for question in record["qa"]:
            assert question["category"] in (1, 2, 3, 4, 5)
            assert question["evidence"]
            assert set(question["evidence"]) <= set(turns)
            assert len(question["evidence"]) == len(set(question["evidence"]))
            assert ("adversarial_answer" in question, "answer" in question) == (
                (True, False) if question["category"] == 5 else (False, True)
            )
        assert len({question["question"] for question in record["qa"]}) == len(record["qa"])
    assert len({record["sample_id"] for record in conversations()}) == 10


def test_longmemeval_records_have_the_official_format() -> None:
    for record in histories():
        sessions, ids, dates = (record[f"haystack_{name}"] for name in ("sessions", "session_ids", "dates"))
        assert len(sessions) == len(ids) == len(dates) == len(set(ids)) == 50
        assert all(re.fullmatch(r"\d{4}/\d\d/\d\d \((Mon|Tue|Wed|Thu|Fri|Sat|Sun)\) \d\d:\d\d", day) for day in dates)
        assert dates == sorted(dates)
        assert dates[-1] < record["question_date"]
        evidence = set(record["answer_session_ids"])
        assert evidence
        assert evidence == {name for name in ids if name.startswith("answer_")}
        for name, session in zip(ids, sessions, strict=True):
            assert [turn["role"] for turn in session] == ["user", "assistant"] * (len(session) // 2)
            assert any(turn.get("has_answer") for turn in session) == (name in evidence)
    assert len({record["question_id"] for record in histories()}) == len(histories())


def test_types_and_unanswerable_questions_are_spread_evenly_from_the_start() -> None:
    records = list(longmemeval_records(histories=500, sessions=3, tokens=1500))
    assert set(Counter(record["question_type"] for record in records).values()) == {83, 84}
    unanswerable = [i for i, record in enumerate(records) if record["question_id"].endswith("_abs")]
    assert len(unanswerable) == 31
    assert {b - a for a, b in pairwise(unanswerable)} == {16}
    assert all(records[i]["answer"].startswith("You did not mention this information.") for i in unanswerable)
    assert {record["question_type"] for record in records[:6]} == set(longmemeval.CATEGORIES)


def test_the_benchmarks_loaders_read_the_records_without_warnings() -> None:
    for record in conversations()[:3]:
        notes = Notes()
        sample = locomo.sample_from_record(Node(record, Path("generated"), "record", "format"), notes)
        assert sum(len(session.turns) for session in sample.conversation.sessions) == len(turns_of(record))
        assert set(notes.places) <= {
            "captions of shared images: read as text of the turn",
            "category 5: unanswerable, scored as abstention",
        }
    for record in histories()[:8]:
        notes = Notes()
        loaded = longmemeval.sample_from_record(Node(record, Path("generated"), "record", "format"), notes)
        assert loaded.questions[0].evidence
        assert set(notes.places) <= {"ids that end in _abs: unanswerable, scored as abstention"}


# Right answers.


def resolved(text: str, spoken_on: date) -> set[str]:
    """All dates that phrases of the text can mean, as gold answers, computed independently of the generator."""

    def full(day: date) -> str:
        return f"{day.day} {MONTHS[day.month - 1]} {day.year}"

    meanings: set[str] = set()
    text = text.lower()
    if "the day before yesterday" in text:
        meanings.add(full(spoken_on - timedelta(2)))
    elif "yesterday" in text:
        meanings.add(full(spoken_on - timedelta(1)))
    if "tomorrow" in text:
        meanings.add(full(spoken_on + timedelta(1)))
    for word, count in COUNTS.items():
        if f"{word} days ago" in text:
            meanings.add(full(spoken_on - timedelta(count)))
    for index, name in enumerate(WEEKDAYS):
        if re.search(rf"\b(last|on|since) {name.lower()}\b", text):
            meanings |= {
                full(spoken_on - timedelta((spoken_on.weekday() - index) % 7 or 7)),
                f"The {name} before {full(spoken_on)}",
            }
        if f"this coming {name.lower()}" in text:
            meanings.add(full(spoken_on + timedelta((index - spoken_on.weekday()) % 7 or 7)))
    for day in re.findall(r"\b(?:on|since) the (\d+)(?:st|nd|rd|th)\b", text):
        meanings.add(full(spoken_on.replace(day=int(day))))
    for phrase, gold in (
        ("last weekend", "The weekend before"),
        ("last week", "The week before"),
        ("two weeks ago", "Two weeks before"),
        ("next week", "The week after"),
    ):
        if re.search(rf"\b{phrase}\b", text):
            meanings.add(f"{gold} {full(spoken_on)}")
    for phrase, step in (("last month", -1), ("next month", 1)):
        if phrase in text:
            year, month = divmod(spoken_on.year * 12 + spoken_on.month - 1 + step, 12)
            meanings.add(f"{MONTHS[month]} {year}")
    for index, name in enumerate(MONTHS):
        if re.search(rf"\b(in|since) {name.lower()}\b", text):
            meanings.add(f"{name} {spoken_on.year - (index >= spoken_on.month - 1)}")
    return meanings


def test_gold_dates_are_the_dates_that_the_evidence_turns_mean() -> None:
    seen = set()
    for record in conversations():
        turns = turns_of(record)
        for question in record["qa"]:
            if question["category"] == 2:
                meant = [resolved(turns[i]["text"], session_date(record, i)) for i in question["evidence"]]
                assert any(question["answer"] in dates for dates in meant), question
                seen.add(re.sub(r"\d+|[A-Z][a-z]+day|" + "|".join(MONTHS), "_", question["answer"]))
    assert len(seen) >= 6  # days, weekdays, weeks, weekends, months and future dates


def test_single_hop_answers_are_in_the_evidence_of_the_right_person() -> None:
    for record in conversations():
        turns = turns_of(record)
        for question in (question for question in record["qa"] if question["category"] == 4):
            evidence = [turns[i] for i in question["evidence"]]
            gold_stems = set(content_stems(question["answer"]))
            evidence_stems = set(content_stems(" ".join(turn_text(turn) for turn in evidence)))
            assert len(gold_stems & evidence_stems) >= 0.3 * len(gold_stems), (question, evidence)
            assert any(turn["speaker"] in question["question"] for turn in evidence)


def test_adversarial_questions_ask_one_speaker_about_events_of_the_other() -> None:
    for record in conversations():
        turns, talk = turns_of(record), record["conversation"]
        for question in (question for question in record["qa"] if question["category"] == 5):
            asked_about = [name for name in (talk["speaker_a"], talk["speaker_b"]) if name in question["question"]]
            assert len(asked_about) == 1
            tellers = [turns[i]["speaker"] for i in question["evidence"]]
            assert any(speaker != asked_about[0] for speaker in tellers)


def test_multi_hop_questions_need_turns_from_several_sessions() -> None:
    for record in conversations():
        for question in (question for question in record["qa"] if question["category"] == 1):
            sessions = {dia_id.split(":")[0] for dia_id in question["evidence"]}
            assert len(sessions) > 1 or question["question"].startswith("Which came first"), question


def test_some_evidence_is_only_in_a_caption() -> None:
    in_caption_only = 0
    for record in conversations():
        turns = turns_of(record)
        for question in record["qa"]:
            if question["category"] in (2, 4):
                texts = set(content_stems(" ".join(turns[i]["text"] for i in question["evidence"])))
                captions = {s for i in question["evidence"] for s in content_stems(turns[i].get("blip_caption", ""))}
                gold_stems = set(content_stems(question["answer"] + " " + question["question"]))
                in_caption_only += bool(gold_stems & (captions - texts))
    assert in_caption_only > 20


def test_counts_sums_and_numbers_of_days_are_right() -> None:
    counted = 0
    for record in longmemeval_records(histories=120, sessions=12, tokens=12_000):
        turns = [
            (day, turn["content"])
            for day, session in zip(record["haystack_dates"], record["haystack_sessions"], strict=True)
            for turn in session
            if turn.get("has_answer")
        ]
        if record["question_id"].endswith("_abs"):
            continue
        if record["question"].startswith("How many days passed"):
            days = []
            for day, text in turns:
                spoken_on = datetime.strptime(day[:10], "%Y/%m/%d").date()
                days.append(dates_in(text, spoken_on))
            spans = {abs((first - second).days) for first in days[0] for second in days[1]}
            assert int(record["answer"].split()[0]) in spans, record["question_id"]
            counted += 1
        elif record["question"].startswith("How many days ago"):
            question_day = datetime.strptime(record["question_date"][:10], "%Y/%m/%d").date()
            happened = dates_in(turns[0][1], datetime.strptime(turns[0][0][:10], "%Y/%m/%d").date())
            assert int(record["answer"].split()[0]) in {(question_day - day).days for day in happened}
            counted += 1
        elif record["question"].startswith("How much did I spend"):
            prices = {"forty d": 40, "sixty-five": 65, "ninety": 90, "hundred and twenty": 120, "hundred and ten": 310}
            prices |= {"two hundred d": 200, "hundred and fifty": 250}
            total = sum(amount for _, text in turns for words, amount in prices.items() if words in text)
            assert record["answer"] == f"${total}"
            counted += 1
        elif record["question_type"] == "multi-session":
            assert record["answer"] == str(len(turns))
            counted += 1
        elif record["question_type"] == "knowledge-update":
            stems = set(content_stems(turns[-1][1]))
            assert set(content_stems(record["answer"])) <= stems
            assert not set(content_stems(record["answer"])) <= set(content_stems(turns[0][1]))
            counted += 1
        elif record["question_type"] == "single-session-assistant":
            assert record["answer"] in turns[0][1]
            counted += 1
    assert counted > 50


def dates_in(text: str, spoken_on: date) -> set[date]:
    gold_dates = {gold for gold in resolved(text, spoken_on) if re.fullmatch(r"\d+ \w+ \d{4}", gold)}
    days = {datetime.strptime(gold, "%d %B %Y").date() for gold in gold_dates}
    for month, day in re.findall(rf"on ({'|'.join(MONTHS)}) (\d+)(?:st|nd|rd|th)", text):
        day_in_year = date(spoken_on.year, MONTHS.index(month) + 1, int(day))
        days.add(day_in_year if day_in_year <= spoken_on else day_in_year.replace(year=spoken_on.year - 1))
    return days


# The word banks.


def test_every_question_identifies_its_event_and_every_aside_has_a_date() -> None:
    for kind in event_kinds():
        for question in kind.questions:
            for wording in question.wordings:
                assert kind.key in slots_in(wording), (kind.name, wording)
            assert any(set(slots_in(question.gold)) & set(kind.slots) <= set(slots_in(aside)) for aside in kind.asides)
        assert kind.key in slots_in(kind.act)
        assert kind.key in slots_in(kind.noun)
        for text in (*kind.asides, *kind.tellings):
            assert {"when", kind.key} <= set(slots_in(text)), (kind.name, text)
        question_forms = [form for value in kind.slots[kind.key] for form in {value.paraphrase, value.plain}]
        assert len(question_forms) == len(set(question_forms)), kind.name


def test_no_slot_is_left_unfilled() -> None:
    for record in conversations():
        for text in [
            *(turn_text(turn) for turn in turns_of(record).values()),
            *(question["question"] + question.get("answer", "") for question in record["qa"]),
        ]:
            assert not re.search(r"[{}|\[\]]", text.replace(" [image: ", "").removesuffix("]")), text
    for record in histories()[:6]:
        for session in record["haystack_sessions"]:
            assert not any(re.search(r"[{}|\[\]]", turn["content"]) for turn in session)


# Documented sizes.


def test_locomo_style_has_the_size_and_proportions_of_the_official_data() -> None:
    lengths = [sum(tokens(turn_text(turn)) for turn in turns_of(record).values()) for record in conversations()]
    assert 0.8 * 16_000 < mean(lengths) < 1.2 * 16_000
    assert all(abs(len(turns_of(record)) - 600) < 10 for record in conversations())
    counts = Counter(question["category"] for record in conversations() for question in record["qa"])
    official = {1: 282, 2: 321, 3: 96, 4: 841, 5: 446}
    assert 1800 < sum(counts.values()) < 2200
    for category, count in official.items():
        assert counts[category] / sum(counts.values()) == pytest.approx(count / 1986, rel=0.15)


def test_longmemeval_style_has_the_size_of_the_official_data() -> None:
    for record in histories()[:6]:
        length = sum(tokens(turn["content"]) for session in record["haystack_sessions"] for turn in session)
        assert 0.8 * 115_000 < length < 1.2 * 115_000


@pytest.mark.parametrize(("sessions", "turns"), [(1, 1), (1, 10), (2, 30), (5, 100), (60, 1200), (400, 4000)])
def test_conversations_can_have_any_size(sessions: int, turns: int) -> None:
    record = next(locomo_records(conversations=1, sessions=sessions, turns=turns))
    assert abs(len(turns_of(record)) - turns) <= max(12, 3 * sessions if turns < 10 * sessions else 12)
    assert all(set(question["evidence"]) <= set(turns_of(record)) for question in record["qa"])


@pytest.mark.parametrize(("sessions", "size"), [(1, 1), (2, 3000), (200, 400_000)])
def test_histories_can_have_any_size(sessions: int, size: int) -> None:
    for record in longmemeval_records(histories=17, sessions=sessions, tokens=size) if size < 9000 else ():
        assert record["answer_session_ids"]
    record = next(longmemeval_records(sessions=sessions, tokens=size))
    assert len(record["haystack_sessions"]) == sessions


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="turns"):
        next(locomo_records(turns=0))
    with pytest.raises(ValueError, match="tokens"):
        next(longmemeval_records(tokens=0))
    with pytest.raises(ValueError, match="sessions"):
        next(session_stream(sessions=0))


# Neither trivial nor impossible to search.


def bm25_recall(record: Record, budget: int = 916) -> dict[int, list[float]]:
    """Evidence recall of stemmed BM25 over turns, best first until the budget is full, by category."""
    ids = list(turns_of(record))
    texts = [turn_text(turn) for turn in turns_of(record).values()]
    sizes = [tokens(text) for text in texts]
    documents = [Counter(content_stems(text)) for text in texts]
    average = mean(sum(document.values()) for document in documents)
    postings: dict[str, list[int]] = defaultdict(list)
    for index, document in enumerate(documents):
        for stem in document:
            postings[stem].append(index)
    recalls: dict[int, list[float]] = defaultdict(list)
    for question in record["qa"]:
        scores = [0.0] * len(documents)
        for stem in content_stems(question["question"]):
            idf = math.log(1 + (len(documents) - len(postings[stem]) + 0.5) / (len(postings[stem]) + 0.5))
            for index in postings[stem]:
                count, length = documents[index][stem], sum(documents[index].values())
                scores[index] += idf * count / (count + 1.5 * (0.25 + 0.75 * length / average))
        kept, room = set(), budget
        for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
            room -= sizes[index]
            if room < 0:
                break
            kept.add(ids[index])
        recalls[question["category"]].append(mean(dia_id in kept for dia_id in question["evidence"]))
    return recalls


def test_a_keyword_search_finds_some_of_the_evidence_and_least_for_multi_hop() -> None:
    pooled: dict[int, list[float]] = defaultdict(list)
    for record in conversations()[:5]:
        for category, recalls in bm25_recall(record).items():
            pooled[category] += recalls
    recall = {category: mean(values) for category, values in pooled.items()}
    assert 0.55 < mean(value for category in (1, 2, 3, 4) for value in pooled[category]) < 0.78
    assert recall[1] == min(recall[category] for category in (1, 2, 3, 4))
    assert recall[1] + 0.05 < recall[4] < recall[2] - 0.05


# Lazy, fast, and in constant memory.


def test_the_first_of_a_million_records_is_made_without_the_others() -> None:
    assert calls_made(lambda: next(locomo_records(conversations=1_000_000))) < 500_000
    assert calls_made(lambda: next(longmemeval_records(histories=1_000_000))) < 500_000
    assert calls_made(lambda: list(islice(session_stream(sessions=1_000_000, turns_per_session=1000), 2))) < 500_000


def test_a_long_stream_runs_in_constant_memory() -> None:
    stream = session_stream(sessions=1_000, turns_per_session=20)
    turns, latest = 0, datetime.min
    kept = []
    for count, session in enumerate(stream, start=1):
        assert session.started_at
        assert session.started_at > latest
        latest = session.started_at
        turns += len(session.turns)
        if count in (300, 800):  # tracing everything would take four times as long and show the same
            gc.collect()
            tracemalloc.start()
        elif count in (500, 1_000):
            gc.collect()  # also empties the interpreter's free lists
            kept.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
    assert abs(turns - 20_000) < 100
    assert max(kept) < 60_000


def test_stream_turn_ids_are_unique_across_sessions() -> None:
    first, second = islice(session_stream(sessions=50_000), 2)
    ids = [turn.id for session in (first, second) for turn in session.turns]
    assert len(ids) == len(set(ids))
    assert {turn.speaker for turn in first.turns} == {turn.speaker for turn in second.turns}


# Files.


def test_written_records_are_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "new" / "locomo10.json"
    assert write_json_array(iter(conversations()[:2]), path) == 2
    assert json.loads(path.read_text(encoding="utf-8")) == conversations()[:2]
    assert write_json_array((), path) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == []


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield {"a": 1}
        raise RuntimeError("no more")

    path = tmp_path / "data.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no more"):
        write_json_array(breaking(), path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
