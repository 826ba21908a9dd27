"""The offline judge's rules: the features of each kind of gold answer, on small cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.judges.offline.cleaning import MAX_CHARACTERS, clean
from engram_eval.judges.offline.features import Comparison, Kind, compare
from engram_eval.judges.offline.parsed_text import acronyms_in, parse_text, share_found
from engram_eval.language.words import words


def features(question: str, gold: str, answer: str) -> dict[str, float]:
    """The features, without the name of the kind."""
    named = compare(question, gold, answer).features
    return {name.partition(".")[2]: value for name, value in named.items() if "." in name}


WHEN = "When did Ana go to the fair?"


# --- kinds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "gold", "kind"),
    [
        (WHEN, "7 May 2023", "date"),
        (WHEN, "The week before 9 June 2023", "date"),
        (WHEN, "21Febuary, 2022", "date"),
        (WHEN, "The sunday before 2` April 2023", "date"),
        ("How many dogs does Ana have?", "3", "number"),
        ("How long has Ana painted?", "seven years", "number"),
        ("Does Ana like opera?", "Likely no, because it is loud", "yes-no"),
        ("Does Ana like opera?", "Not really", "yes-no"),
        ("What did Ana paint?", "a sunset", "text"),
        ("What did Ana say?", "You mentioned that Ana had painted two sunsets by May 2023.", "text"),
    ],
)
def test_the_gold_determines_the_kind(question: str, gold: str, kind: Kind) -> None:
    assert compare(question, gold, gold).kind == kind


# --- dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("7 May 2023", "On May 7th."),  # without a year: the nearest such day
        ("The week before 9 June 2023", "Last week before 9 June 2023"),
        ("The Sunday before 25 May 2023", "the previous Sunday before 25 May 2023"),
        ("22August, 2022", "22 August 2022"),
        ("9 September 2024", "Septmber 9, 2024"),
    ],
)
def test_the_same_days_in_other_words_overlap(gold: str, answer: str) -> None:
    assert features(WHEN, gold, answer)["overlap"] == 1


@pytest.mark.parametrize(
    ("gold", "answer", "coarser"),
    [
        ("7 May 2023", "In May 2023", 1),
        ("June 2023", "During the summer of 2023", 1),
        ("June 2023", "In 2023", 1),
        ("The week before 9 June 2023", "Early June 2023", 0),
        ("7 May 2023", "7 May 2023", 0),
        ("2022", "In March 2022", 0),
        (
            "7 May 2023",
            "Ana went to the county fair with her sister, two cousins, a neighbour and her dog Rex in 2023.",
            1,
        ),
    ],
)
def test_a_date_coarser_than_the_gold_is_detected(gold: str, answer: str, coarser: int) -> None:
    assert features(WHEN, gold, answer)["coarser"] == coarser


@pytest.mark.parametrize(
    ("gold", "answer", "rough"),
    [
        ("The week before 9 June 2023", "Around early June 2023", 1),
        ("The week before 9 June 2023", "Sometime in early June 2023", 1),
        ("The week before 9 June 2023", "Early June 2023", 0),
        ("June 2023", "Around June 2023", 0),
        ("Around August 2022", "Around late August 2022", 0),
        ("7 May 2023", "Around 7 May 2023", 0),
    ],
)
def test_an_approximate_date_is_detected(gold: str, answer: str, rough: int) -> None:
    assert features(WHEN, gold, answer)["rough"] == rough


@pytest.mark.parametrize(
    ("gold", "answer", "near"),
    [
        ("The week before 9 June 2023", "9 June 2023", 1),
        ("The Sunday before 25 May 2023", "The Saturday before 25 May 2023", 1),
        ("The week before 9 June 2023", "The week before 16 June 2023", 0),  # explicitly another week
        ("The week before 9 June 2023", "20 June 2023", 0),
        ("9 June 2023", "10 June 2023", 0),  # an exact gold has no neighbourhood
    ],
)
def test_days_close_to_a_relative_gold_are_near(gold: str, answer: str, near: int) -> None:
    assert features(WHEN, gold, answer)["near"] == near


@given(st.dates(), st.dates())
def test_dates_overlap_exactly_if_they_are_the_same_day(first: object, second: object) -> None:
    gold, answer = str(first), str(second)
    comparison = compare(WHEN, gold, answer)
    if comparison.kind == "date" and "date.overlap" in comparison.features:
        assert comparison.features["date.overlap"] == (first == second)


# --- numbers, yes and no ------------------------------------------------------------------------------------------


def test_a_number_per_month_is_not_one_per_year() -> None:
    question = "How often does Ana swim?"
    assert features(question, "once a year", "About once a month")["other_unit"] == 1
    assert features(question, "once a year", "One time every year")["other_unit"] == 0


def test_the_count_in_a_relative_date_is_a_number() -> None:
    answer = "It was ten years before 27 June 2023."
    assert features("How long ago was the wedding?", "10 years ago", answer)["first"] == 1


@pytest.mark.parametrize(
    ("answer", "side"),
    [("Yes", 1), ("Definitely, she does", 1), ("Of course.", 1), ("No", -1), ("Not really", -1), ("Unlikely", -1)],
)
def test_an_answer_that_begins_with_yes_or_no_has_that_polarity(answer: str, side: int) -> None:
    assert features("Does Ana like opera?", "Yes", answer)["side"] == side
    assert features("Does Ana like opera?", "No", answer)["side"] == -side


# --- texts ------------------------------------------------------------------------------------------------------

WHERE = "Where does Ana live?"


def test_words_of_the_question_do_not_have_to_be_in_the_answer() -> None:
    assert features("What kind of cake did Ana bake?", "a lemon cake", "Lemon")["missing"] == 0
    assert features("What kind of cake did Ana bake?", "a lemon cake", "A cake")["missing"] > 0


def test_missing_and_foreign_words_are_counted() -> None:
    right, half, other = (features("Who came?", "Paul and Rita", answer) for answer in ("Rita and Paul", "Paul", "Tom"))
    assert right["missing"] < half["missing"] < other["missing"]
    assert right["short_foreign"] == half["short_foreign"] == 0 < other["short_foreign"]


def test_vague_words_are_counted_unless_the_gold_or_the_question_is_as_vague() -> None:
    assert features("What did Ana do?", "painted a sunset", "Some kind of creative activity")["vague"] > 0.3
    assert features("What did Ana do?", "painted a sunset", "Painted a sunset")["vague"] == 0
    assert features("What kind of event was it?", "a fair", "An event of a kind")["vague"] == 0
    assert features("Where was it?", "some quiet place", "In some quiet place")["vague"] == 0


@pytest.mark.parametrize(("gold", "answer"), [("UK", "The United Kingdom"), ("United Kingdom", "She lives in the UK.")])
def test_an_acronym_matches_its_name(gold: str, answer: str) -> None:
    assert features(WHERE, gold, answer)["missing"] == 0


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("icecream", "ice cream"),
        ("fiveparrots", "parrots"),
        ("restaurnat", "restaurant"),
        ("accomodation", "accommodation"),
        ("accommodation", "accomodation"),
        ("東京", "東京です"),
    ],
)
def test_glued_and_misspelled_words_are_found(word: str, text: str) -> None:
    assert share_found(parse_text(word).content, parse_text(text)) == 1


@pytest.mark.parametrize(("word", "text"), [("cat", "concatenate"), ("Maria", "Marie"), ("piano", "pianist")])
def test_similar_but_different_words_are_not_found(word: str, text: str) -> None:
    assert share_found(parse_text(word).content, parse_text(text)) == 0


def test_acronyms_leave_out_articles() -> None:
    assert acronyms_in("The United Kingdom") == {"uk": ("unit", "kingdom")}


# --- reasons ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "gold", "answer", "reason"),
    [
        (WHEN, "7 May 2023", "Sometime in May 2023", "but is coarser, told roughly"),
        (WHEN, "7 May 2023", "8 May 2023", "1 day from"),
        (WHEN, "7 May 2023", "With her sister", "no date"),
        ("Who came?", "Paul and Rita", "Paul", "1 of the gold's 2 content words found, not rita"),
        ("Who came?", "Paul and Rita", "Various people", "told vaguely: various, people"),
        ("Does Ana like opera?", "No", "Yes", "says yes, the gold no"),
    ],
)
def test_the_reason_says_in_words_what_was_compared(question: str, gold: str, answer: str, reason: str) -> None:
    assert reason in compare(question, gold, answer).reason


# --- anything at all --------------------------------------------------------------------------------------------

anything = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*"aA.,;\n\x00", "Ana", "May", "2023", "the week before", "or", "7"])).map(" ".join),
)


@given(anything, anything, anything)
def test_features_are_finite_and_the_same_twice(question: str, gold: str, answer: str) -> None:
    comparison: Comparison = compare(question, gold, answer)
    assert comparison == compare(question, gold, answer)
    assert all(abs(value) < 100 for value in comparison.features.values())
    assert comparison.reason


@given(
    st.lists(
        st.sampled_from(["Paul", "Rita", "lake", "painted", "sunset", "garden", "violin"]), min_size=1, unique=True
    )
)
def test_more_of_the_gold_never_counts_as_less(items: list[str]) -> None:
    gold = "Paul, Rita, lake, painted, sunset, garden, violin"
    missing = [features("What?", gold, ", ".join(items[:n]))["missing"] for n in range(1, len(items) + 1)]
    assert missing == sorted(missing, reverse=True)


@given(anything)
def test_cleaning_again_changes_nothing(text: str) -> None:
    assert words(clean(clean(text))) == words(clean(text))


def test_only_the_first_characters_are_read() -> None:
    assert len(clean("a" * 10 * MAX_CHARACTERS)) == MAX_CHARACTERS
