"""The offline reader on small hand-made contexts: each kind of question, and when it abstains."""

from __future__ import annotations

import asyncio
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.readers.offline.reader import NOT_MENTIONED, OfflineReader, read
from engram_eval.types import Context

TALK = """\
[8 May 2023]
Ines: I went to a chess club yesterday and it was so lively.
Tom: Wow, that's cool, Ines! Who did you play against?
Ines: Thanks! My neighbour Olga, she has been playing for twelve years.
[25 May 2023]
Tom: I ran a charity race last Saturday. It was for the animal shelter in Porto. [image: a photo of a muddy road]
Ines: Good for you! I'm thinking of adopting a dog because my flat feels empty.
Tom: Do it! I have three cats, and I feed them twice a day.
[9 June 2023]
Ines: I finally read "The Glass Harbour" last week. Before that I finished "Ten Winters".
Tom: Nice. I don't eat meat any more, by the way.
Ines: I'm going to Lisbon next month to see my aunt.
Tom: What is your favourite dish there?
Ines: Grilled fish, always with lemon!"""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did Tom run a charity race?", "20 May 2023"),
        ("When did Ines go to the chess club?", "7 May 2023"),
        ("When did Ines read The Glass Harbour?", "the week before 9 June 2023"),
        ("In which month is Ines going to Lisbon?", "July 2023"),
        ("In what year did Tom run the charity race?", "2023"),
        ("How long has Olga been playing chess?", "twelve years"),
        ("How many cats does Tom have?", "three cats"),
        ("How often does Tom feed his cats?", "twice a day"),
        ("Who did Ines play against?", "My neighbour Olga"),
        ("Where is the animal shelter that Tom ran for?", "Porto"),
        ("What is the name of the book that Ines finished?", "Ten Winters"),
        ("Does Tom have cats?", "Yes"),
        ("Does Tom eat meat?", "No"),
        ("Would Ines like to adopt a dog?", "Likely yes"),
        ("Does Tom keep cats or dogs?", "cats"),
    ],
)
def test_an_answer_has_the_kind_that_the_question_asks_for(question: str, answer: str) -> None:
    assert answer in read(question, TALK)
    assert len(read(question, TALK).split()) <= 12


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Why does Ines want to adopt a dog?", "because my flat feels empty"),
        ("What is Ines's favourite dish?", "Grilled fish"),  # the answer is in the turn after the question
        ("What was shown in the photo of Tom's race?", "muddy road"),
        ("Which books has Ines read?", "The Glass Harbour, Ten Winters"),
    ],
)
def test_other_answers_are_the_words_of_the_context(question: str, words: str) -> None:
    assert words in read(question, TALK)
    assert len(read(question, TALK).split()) <= 25


@pytest.mark.parametrize(
    "question",
    [
        "What colour is the submarine?",
        "When did Tom visit Peru with his grandmother?",
        "When did Ines run a charity race?",  # Tom did
        "How many cats does Ines have?",
        "What does Ines feed twice a day?",
        "When did Bruno go to the chess club?",  # no such person
        "",
        "?",
    ],
)
def test_it_abstains_if_nothing_matches_or_the_match_is_about_another_person(question: str) -> None:
    assert read(question, TALK) == NOT_MENTIONED


def test_a_short_context_is_read_though_it_shares_no_word_with_the_question() -> None:
    context = "[8 May 2023]\nInes: They were frightened, but we calmed them."
    assert "frightened" in read("How did the children of Ines cope with the storm?", context)
    assert read("How did Bruno cope with the storm?", context) == NOT_MENTIONED  # no such person


def test_what_is_told_on_several_days_is_counted() -> None:
    trips = (
        "[1 May 2023]\nTom: I went to the beach.\n[2 June 2023]\nTom: The beach again!\n[3 June 2023]\nTom: I cooked."
    )
    assert read("How many times did Tom go to the beach?", trips) == "2"
    wins = (
        "[1 May 2023]\nTom: I won my first chess game.\n[2 June 2023]\nTom: This was the fourth chess game that I won!"
    )
    assert read("How many chess games has Tom won?", wins) == "4"
    assert read("How many cats does Tom have?", f"{TALK}\n[10 June 2023]\nTom: A cat is a joy.") == "three cats"


def test_a_name_may_begin_the_sentence() -> None:
    context = "[8 May 2023]\nInes: Spider-Man has always been my favourite, but I like any superhero."
    assert read("What is the name of Ines's favourite superhero?", context) == "Spider-Man"


def test_a_place_that_repeats_the_question_is_no_answer() -> None:
    context = "[8 May 2023]\nInes: I moved here from my home country, but I miss the sea in Portugal."
    assert read("Which country did Ines move from?", context) == "Portugal"


def test_of_two_options_one_is_the_answer() -> None:
    assert read("Would Ines rather visit an opera or a zoo?", TALK) in ("opera", "zoo")


def test_what_is_told_in_a_short_context_happened_when_it_was_told() -> None:
    assert read("When did Tom get a toy for Ines?", "[8 May 2023]\nTom: Look, this is for you!") == "8 May 2023"


def test_an_answer_below_its_question_need_not_repeat_it() -> None:
    context = "\n".join(
        ["[1 May 2023]", "Tom: Next week I will hear music at the fair near the lake with my sister.", "[8 May 2023]",
         "Ines: How was the music at the fair?", "Tom: Loud, but everybody danced until midnight.",
         "[9 May 2023]", *(f"Tom: Today I walked {i} miles." for i in range(9))]
    )  # fmt: skip
    assert read("What did Tom say of the music at the fair?", context).startswith("Loud")


def test_two_turns_that_match_equally_well_are_both_in_the_answer() -> None:
    context = "\n".join(
        ["[8 May 2023]", "Ines: My garden has a pond with frogs.", "[1 June 2023]", "Ines: My garden got a tall hedge.",
         "[2 June 2023]", *(f"Ines: Today I walked {i} miles." for i in range(9))]
    )  # fmt: skip
    answer = read("How does the garden of Ines look?", context)
    assert "frogs" in answer and "hedge" in answer


@pytest.mark.parametrize("context", ["", "   \n\n", "[8 May 2023]", "# Events\n[8 May 2023]"])
def test_it_abstains_on_an_empty_context(context: str) -> None:
    assert read("When did Tom run?", context) == NOT_MENTIONED


def test_abstaining_satisfies_the_official_check_of_locomo() -> None:
    assert "not mentioned" in NOT_MENTIONED.lower()


@pytest.mark.parametrize(
    "header", ["[25 May 2023]", "[25 May 2023, 13:56]", "[2023-05-25]", "[2023-05-25T13:56:00]", "[2023/05/25 (Thu) 02:21]",
               "1:14 pm on 25 May, 2023", "Session 2 (25 May 2023)", "DATE: 2023/05/25"]
)  # fmt: skip
def test_a_relative_date_is_resolved_against_any_form_of_header(header: str) -> None:
    assert read("When did Tom run a race?", f"{header}\nTom: I ran a race last Saturday.") == "20 May 2023"


@pytest.mark.parametrize(
    "context",
    [
        "[25 May 2023] Tom: I ran a race last Saturday.",
        "- (25 May 2023) Tom ran a race last Saturday.",
        "2023-05-25: Tom ran a race last Saturday.",
        '{"memory": "Tom ran a race last Saturday", "created_at": "2023-05-25T10:00:00Z"}',
        "Tom ran a race on 20 May 2023.",
        "* Tom's race was on 20 May 2023",
        "# Events\n[1 June 2023]\nTom: I ran a race last Saturday (= 20 May 2023).",
        "[1 June 2023]\nTom: Hello.\n# Facts\n[25 May 2023]\nTom: I ran a race\nlast Saturday.",
    ],
)
def test_it_reads_the_formats_of_many_memories(context: str) -> None:
    assert read("When was Tom's race?", context) == "20 May 2023"


def test_a_relative_date_without_a_header_is_not_guessed() -> None:
    assert read("When did Tom run a race?", "Tom: I ran a race last Saturday.") == NOT_MENTIONED


def test_a_duration_gives_the_date_when_it_began() -> None:
    context = "[25 May 2023]\nTom: I've been playing the cello for about four years now."
    assert read("When did Tom start playing the cello?", context) == "2019"


def test_a_user_and_an_assistant() -> None:
    context = """\
[2023/05/20 (Sat) 02:21]
user: I graduated with a degree in Marine Biology. What should I read on coral?
assistant: Here are some books:
1. Classics: "The Reef" by J. Alder is a good place to start.
2. Newer ones: "Coral Nights".
[2023/05/28 (Sun) 10:00]
user: My car was serviced for the first time on March 15th."""
    assert "Marine Biology" in read("What degree did I graduate with?", context)
    assert read("When was my car first serviced?", context) == "15 March 2023"
    assert "The Reef" in read("Which book about coral did you recommend to me?", context)
    assert read("How many hamsters do I keep?", context * 2) == NOT_MENTIONED


def test_the_date_of_the_question_resolves_last_week() -> None:
    context = "[3 May 2023]\nTom: I cooked a risotto.\n[20 May 2023]\nTom: I cooked a stew."
    assert "stew" in read("What did Tom cook last week?", context, date(2023, 5, 25))


def test_the_order_of_sections_does_not_matter() -> None:
    sections = TALK.split("\n[")
    turned = "\n".join(("[" if i else "") + section for i, section in reversed(list(enumerate(sections))))
    assert read("When did Tom run a charity race?", turned) == "20 May 2023"


def test_an_answer_counts_its_tokens() -> None:
    reader = OfflineReader(lambda text: len(text.split()))
    context = Context("[25 May 2023]\nTom: I ran a race last Saturday.")
    answer = asyncio.run(reader.answer("When did Tom run?", asked_at=datetime(2023, 6, 1), context=context))
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("20 May 2023", 10 + 4, 3)
    assert (reader.name, reader.model, reader.window) == ("offline", "offline", 128_000)


_LINES = st.sampled_from(
    [*TALK.splitlines(), "# Facts", "- a: b", '{"a": ["b", 1], "date": "2023-99-01"}', "İ: İ İ?", "[31 June 2023]"]
)
_QUESTIONS = st.sampled_from(
    ["When did Tom run?", "What books or films did Mel like?", "How many?", "Why?", "Which years?"]
)


@given(_QUESTIONS | st.text(), st.lists(_LINES | st.text(), max_size=8).map("\n".join), st.none() | st.dates())
def test_it_never_raises_and_always_gives_the_same_answer(question: str, context: str, asked_on: date | None) -> None:
    answer = read(question, context, asked_on)
    assert answer
    assert len(answer.split()) <= 40
    assert read(question, context, asked_on) == answer


def test_each_question_is_charged_the_time_to_parse_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fake clock: parsing takes 7 s the first time, and every later question on the passage is charged 7 s too."""
    clock = [0.0]
    monkeypatch.setattr("engram_eval.readers.offline.passages.perf_counter", lambda: clock[0])
    monkeypatch.setattr("engram_eval.readers.offline.reader.perf_counter", lambda: clock[0])

    def slow(_text: str) -> list[str]:
        clock[0] += 7.0
        return ["A line."]

    monkeypatch.setattr("engram_eval.readers.offline.passages.split_sentences", slow)
    reader = OfflineReader(len)
    seconds = [
        asyncio.run(reader.answer("Who?", asked_at=None, context=Context(context))).latency_s
        for context in ("Tom: This is new to it.", "Tom: This is new to it.", "[8 May 2023]\nTom: This is new to it.")
    ]
    assert seconds == [7.0, 7.0, 7.0]  # the same context again, then a known passage in another context
