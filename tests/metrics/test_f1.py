"""LoCoMo's F1 against nltk's stemmer and against a second transcription of the official script."""

from __future__ import annotations

import re
import string
from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from engram_eval.datasets.locomo.f1 import official_f1
from engram_eval.language.porter import porter_stem
from engram_eval.metrics.f1 import token_f1

CATEGORIES = ["multi-hop", "temporal", "open-domain", "single-hop", "adversarial"]

# Words that take every branch: plurals, past tenses, gerunds, y after vowel and consonant, each suffix of steps 2-4,
# and the irregular forms.
WORDS = sorted(
    """caresses ponies ties dies flies caress cats gas this us is died spied tried cried agreed feed freed plastered
    bled motoring sing string conflated troubled sized hopping tanned falling hissing fizzed failing filing egging
    adding offing happy sky by spy fly enjoy enjoyment saying day eyes relational conditional rational valency
    hesitancy digitizer conformably radically differently vilely analogously vietnamization predication operator
    feudalism decisiveness hopefulness callousness formality sensitivity sensibility successfully fully hopefully
    geology archaeology theology apology triplicate formative formalize electricity electrical hopeful goodness revival
    allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption
    onion homologous communism activate angularity effective bowdlerize probate rate cease controlling roll controll
    skies dying lying tying news innings inning outings canning howe proceed exceed succeed used uses useful owing owe
    as yes yyy syzygy toy boys generally oscillators 1990s 2nd 7may café naïve überall straße""".split()
)


@cache
def nltk_stemmer() -> PorterStemmer:
    return PorterStemmer()


@pytest.mark.parametrize("word", WORDS)
def test_stems_of_known_words_are_those_of_nltk(word: str) -> None:
    assert porter_stem(word) == nltk_stemmer().stem(word)


SUFFIXES = sorted(
    """s es ies ied ed eed ing y ly ational tional enci anci izer bli abli alli entli eli ousli ization ation ator
    alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er
    ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize e ll lle""".split()
)


@given(st.text("aeioubcdlstvwxyz", max_size=7), st.lists(st.sampled_from(SUFFIXES), max_size=3))
def test_stems_of_invented_words_are_those_of_nltk(base: str, suffixes: list[str]) -> None:
    word = base + "".join(suffixes)
    assert porter_stem(word) == nltk_stemmer().stem(word)


@given(st.text())
def test_stems_of_any_text_are_those_of_nltk(text: str) -> None:
    assert porter_stem(text.lower()) == nltk_stemmer().stem(text.lower())


def official(prediction: str, gold: str, category: str) -> float:
    """eval_question_answering of task_eval/evaluation.py for one question, line by line."""
    if category == "open-domain":
        gold = gold.split(";")[0].strip()
    if category == "adversarial":
        return 1 if "no information available" in prediction.lower() or "not mentioned" in prediction.lower() else 0
    if category != "multi-hop":
        return official_f1_score(prediction, gold)
    predictions = [p.strip() for p in prediction.split(",")]
    golds = [g.strip() for g in gold.split(",")]
    best = [max(official_f1_score(p, g) for p in predictions) for g in golds]
    return sum(best) / len(best)


def official_f1_score(prediction: str, gold: str) -> float:
    predicted, expected = ([nltk_stemmer().stem(w) for w in normalize_answer(t).split()] for t in (prediction, gold))
    same = sum((Counter(predicted) & Counter(expected)).values())
    if same == 0:
        return 0
    precision, recall = same / len(predicted), same / len(expected)
    return (2 * precision * recall) / (precision + recall)


def normalize_answer(text: str) -> str:
    text = text.replace(",", "").lower()
    text = "".join(ch for ch in text if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the|and)\b", " ", text).split())


phrases = st.lists(
    st.sampled_from(
        [*WORDS[:40], "a", "An", "the", "and", ",", ";", "Not mentioned", "May 7, 2023", "it's", "42", "!"]
    ),
    max_size=12,
).map(" ".join)


texts = st.one_of(
    phrases, st.text(st.characters(max_codepoint=0x0DFF))
)  # what follows has no spaces, nor an official F1


@given(texts, texts, st.sampled_from(CATEGORIES))
def test_f1_is_the_official_one(answer: str, gold: str, category: str) -> None:
    assert official_f1(answer, gold, category) == pytest.approx(official(answer, gold, category))


@given(phrases, phrases, st.sampled_from([*CATEGORIES, "knowledge-update"]))
def test_f1_lies_between_0_and_1(answer: str, gold: str, category: str) -> None:
    assert 0 <= official_f1(answer, gold, category) <= 1


@given(phrases, phrases)
def test_plain_f1_is_symmetric(first: str, second: str) -> None:
    assert official_f1(first, second, "single-hop") == official_f1(second, first, "single-hop")


@pytest.mark.parametrize(
    ("answer", "gold", "category", "expected"),
    [
        ("The cats", "a cat", "single-hop", 1.0),
        ("camping", "camping, pottery", "multi-hop", 0.5),
        ("camping", "camping, pottery", "single-hop", 2 / 3),
        ("Likely no", "Likely no; she moved away", "open-domain", 1.0),
        ("It is not mentioned anywhere.", "", "adversarial", 1.0),
        ("She went to Rome", "", "adversarial", 0.0),
        ("", "", "single-hop", 0.0),
    ],
)
def test_each_category_has_its_rule(answer: str, gold: str, category: str, expected: float) -> None:
    assert official_f1(answer, gold, category) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("里斯本", "里斯本", 1.0),
        ("我搬到里斯本。", "里斯本", 2 / 3),  # 3 characters of 6 and of 3
        ("リスボン、リマ", "リスボン", 0.8),  # 4 of 6 and of 4
        ("ลิสบอน", "ลิสบอน!", 1.0),
        ("北京 University", "北京 university", 1.0),
        ("猫", "狗", 0.0),
    ],
)
def test_what_is_written_without_spaces_counts_by_characters(answer: str, gold: str, expected: float) -> None:
    assert token_f1(answer, gold) == pytest.approx(expected)


def test_chinese_and_japanese_commas_separate_the_parts_of_a_list() -> None:
    assert official_f1("狗，猫", "猫、狗", "multi-hop") == 1.0
