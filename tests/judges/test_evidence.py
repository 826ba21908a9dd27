"""What the offline judge sees: each kind of evidence on small cases of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.judges.offline.features import Comparison, Kind, compare
from engram_eval.judges.offline.parsed_text import MAX_CHARACTERS, clean, share, spelled_out, view
from engram_eval.language.words import words


def evidence(question: str, gold: str, answer: str) -> dict[str, float]:
    """The features without the name of their kind."""
    found = compare(question, gold, answer).features
    return {name.partition(".")[2]: value for name, value in found.items() if "." in name}


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
def test_the_gold_tells_the_kind(question: str, gold: str, kind: Kind) -> None:
    assert compare(question, gold, gold).kind == kind


# --- dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("7 May 2023", "On May 7th."),  # of no year: the one that is meant
        ("The week before 9 June 2023", "Last week before 9 June 2023"),
        ("The Sunday before 25 May 2023", "the previous Sunday before 25 May 2023"),
        ("22August, 2022", "22 August 2022"),
        ("9 September 2024", "Septmber 9, 2024"),
    ],
)
def test_the_same_days_in_other_words_match(gold: str, answer: str) -> None:
    assert evidence(WHEN, gold, answer)["overlap"] == 1


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
def test_a_date_that_is_coarser_than_the_gold_is_seen(gold: str, answer: str, coarser: int) -> None:
    assert evidence(WHEN, gold, answer)["coarser"] == coarser


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
def test_a_date_that_is_told_roughly_is_seen(gold: str, answer: str, rough: int) -> None:
    assert evidence(WHEN, gold, answer)["rough"] == rough


@pytest.mark.parametrize(
    ("gold", "answer", "near"),
    [
        ("The week before 9 June 2023", "9 June 2023", 1),
        ("The Sunday before 25 May 2023", "The Saturday before 25 May 2023", 1),
        ("The week before 9 June 2023", "The week before 16 June 2023", 0),  # says itself that it is another week
        ("The week before 9 June 2023", "20 June 2023", 0),
        ("9 June 2023", "10 June 2023", 0),  # an exact day is a day
    ],
)
def test_days_beside_a_relative_gold_are_near(gold: str, answer: str, near: int) -> None:
    assert evidence(WHEN, gold, answer)["near"] == near


@given(st.dates(), st.dates())
def test_dates_match_exactly_if_they_are_the_same_day(one: object, other: object) -> None:
    gold, answer = str(one), str(other)
    found = compare(WHEN, gold, answer)
    if found.kind == "date" and "date.overlap" in found.features:
        assert found.features["date.overlap"] == (one == other)


# --- numbers and sides ------------------------------------------------------------------------------------------


def test_a_number_per_month_is_not_one_per_year() -> None:
    asked = "How often does Ana swim?"
    assert evidence(asked, "once a year", "About once a month")["other_unit"] == 1
    assert evidence(asked, "once a year", "One time every year")["other_unit"] == 0


def test_the_count_in_a_relative_date_is_a_number() -> None:
    found = evidence("How long ago was the wedding?", "10 years ago", "It was ten years before 27 June 2023.")
    assert found["first"] == 1


@pytest.mark.parametrize(
    ("answer", "side"),
    [("Yes", 1), ("Definitely, she does", 1), ("Of course.", 1), ("No", -1), ("Not really", -1), ("Unlikely", -1)],
)
def test_the_first_word_takes_a_side(answer: str, side: int) -> None:
    assert evidence("Does Ana like opera?", "Yes", answer)["side"] == side
    assert evidence("Does Ana like opera?", "No", answer)["side"] == -side


# --- texts ------------------------------------------------------------------------------------------------------

WHERE = "Where does Ana live?"


def test_what_the_question_tells_already_need_not_be_said() -> None:
    found = evidence("What kind of cake did Ana bake?", "a lemon cake", "Lemon")
    assert found["missing"] == 0
    assert evidence("What kind of cake did Ana bake?", "a lemon cake", "A cake")["missing"] > 0


def test_missing_and_foreign_words_are_counted() -> None:
    right, half, other = (evidence("Who came?", "Paul and Rita", answer) for answer in ("Rita and Paul", "Paul", "Tom"))
    assert right["missing"] < half["missing"] < other["missing"]
    assert right["short_foreign"] == half["short_foreign"] == 0 < other["short_foreign"]


def test_vague_words_are_counted_unless_the_gold_or_the_question_is_as_vague() -> None:
    assert evidence("What did Ana do?", "painted a sunset", "Some kind of creative activity")["vague"] > 0.3
    assert evidence("What did Ana do?", "painted a sunset", "Painted a sunset")["vague"] == 0
    assert evidence("What kind of event was it?", "a fair", "An event of a kind")["vague"] == 0
    assert evidence("Where was it?", "some quiet place", "In some quiet place")["vague"] == 0


@pytest.mark.parametrize(("gold", "answer"), [("UK", "The United Kingdom"), ("United Kingdom", "She lives in the UK.")])
def test_initials_stand_for_a_name(gold: str, answer: str) -> None:
    assert evidence(WHERE, gold, answer)["missing"] == 0


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("icecream", "ice cream"),
        ("fiveparrots", "parrots"),
        ("restaurnat", "restaurant"),
        ("accomodation", "accommodation"),
        ("accommodation", "accomodation"),
        ("東京", "東京です"),
    ],
)
def test_slips_of_the_pen_are_found(wanted: str, text: str) -> None:
    assert share(view(wanted).content, view(text)) == 1


@pytest.mark.parametrize(("wanted", "text"), [("cat", "concatenate"), ("Maria", "Marie"), ("piano", "pianist")])
def test_other_words_are_not(wanted: str, text: str) -> None:
    assert share(view(wanted).content, view(text)) == 0


def test_initials_leave_articles_out() -> None:
    assert spelled_out("The United Kingdom") == {"uk": ("unit", "kingdom")}


# --- remarks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "gold", "answer", "remark"),
    [
        (WHEN, "7 May 2023", "Sometime in May 2023", "but is coarser, told roughly"),
        (WHEN, "7 May 2023", "8 May 2023", "1 day from"),
        (WHEN, "7 May 2023", "With her sister", "no date"),
        ("Who came?", "Paul and Rita", "Paul", "1 of the gold's 2 content words found, not rita"),
        ("Who came?", "Paul and Rita", "Various people", "told vaguely: various, people"),
        ("Does Ana like opera?", "No", "Yes", "says yes, the gold no"),
    ],
)
def test_the_remark_says_in_words_what_was_seen(question: str, gold: str, answer: str, remark: str) -> None:
    assert remark in compare(question, gold, answer).remark


# --- anything at all --------------------------------------------------------------------------------------------

anything = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*"aA.,;\n\x00", "Ana", "May", "2023", "the week before", "or", "7"])).map(" ".join),
)


@given(anything, anything, anything)
def test_features_are_finite_and_the_same_twice(question: str, gold: str, answer: str) -> None:
    found: Comparison = compare(question, gold, answer)
    assert found == compare(question, gold, answer)
    assert all(abs(value) < 100 for value in found.features.values())
    assert found.remark


@given(
    st.lists(
        st.sampled_from(["Paul", "Rita", "lake", "painted", "sunset", "garden", "violin"]), min_size=1, unique=True
    )
)
def test_more_of_the_gold_is_never_seen_as_less(items: list[str]) -> None:
    gold = "Paul, Rita, lake, painted, sunset, garden, violin"
    missing = [evidence("What?", gold, ", ".join(items[:n]))["missing"] for n in range(1, len(items) + 1)]
    assert missing == sorted(missing, reverse=True)


@given(anything)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert words(clean(clean(text))) == words(clean(text))


def test_only_the_first_characters_are_read() -> None:
    assert len(clean("a" * 10 * MAX_CHARACTERS)) == MAX_CHARACTERS
