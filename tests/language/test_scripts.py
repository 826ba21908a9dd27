"""Writing systems without spaces: characters and their pairs stand for words, and everything else stays as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engram_eval as ee
from engram_eval.language.scripts import characters, grams, is_unspaced
from engram_eval.language.words import content_stems, count_words, first_words, normalize, sentences, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("里斯本", ["里斯", "斯本", "里", "斯", "本"]),
        ("茶", ["茶"]),
        ("リスボン", ["リス", "スボ", "ボン"]),
        ("วันที่", ["วัน", "นที่"]),
        ("5月7日", ["5", "月", "7", "日"]),
        ("iPhone很好", ["iphone", "很好", "很", "好"]),
        ("里斯本。", ["里斯", "斯本", "里", "斯", "本"]),
    ],
)
def test_words_are_pairs_of_characters_and_ideographs(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_grammar_is_not_content() -> None:
    assert content_stems("我们的狗") == ["们的", "的狗", "狗"]


@given(st.text(st.characters(max_codepoint=0x0DFF) | st.sampled_from("한국어’“”…🙂ß")))
def test_text_with_spaces_is_split_as_before(text: str) -> None:
    assert words(text) == re.findall(r"\w+(?:[.,]\d+)*", normalize(text))
    assert first_words(text, 3) == text.split()[:3]
    assert count_words(text) == len(text.split())


@given(st.text(st.sampled_from("里斯本狗リスボンวันที่ก็ ,.a1"), max_size=20), st.integers(0, 8))
def test_the_first_words_are_a_beginning_that_fits(text: str, limit: int) -> None:
    beginning = "".join(first_words(text, limit))
    assert count_words(" ".join(first_words(text, limit))) <= limit
    assert "".join(text.split()).startswith(beginning)


@given(st.text(st.sampled_from("里斯本狗リスボンวันที่ก็"), min_size=1, max_size=20))
def test_a_part_of_a_text_has_no_other_words_than_the_text(text: str) -> None:
    letters = characters(text)
    assert "".join(letters) == text
    assert set(grams("".join(letters[: max(2, len(letters) // 2)]))) <= set(grams(text)) or len(letters) == 1


def test_sentences_end_with_a_full_stop_of_their_own() -> None:
    assert sentences("我养了狗。它叫「旺财！」你呢？好") == ["我养了狗。", "它叫「旺财！」你呢？", "好"]
    assert sentences("Ha! 你好。Hi") == ["Ha!", "你好。", "Hi"]


@pytest.mark.parametrize("text", ["", "plain", "naïve café", "한국어", "नमस्ते", "Привет", "๗", "。"])
def test_what_has_spaces_or_is_no_letter(text: str) -> None:
    assert not is_unspaced(text)


_TALKS = {
    "zh": [("小明", "我昨天领养了一只狗，名字叫旺财！"), ("小红", "我最近在学弹吉他。"), ("小明", "我下个月要去里斯本旅行。"),
           ("小红", "今天的天气真好。"), ("小明", "我们晚上吃火锅吧。")],
    "ja": [("太郎", "昨日、犬を飼い始めました。名前はポチです。"), ("花子", "最近ギターを習っています。"),
           ("太郎", "来月リスボンへ旅行に行きます。"), ("花子", "今日はいい天気ですね。"), ("太郎", "夜は鍋を食べましょう。")],
    "th": [("สมชาย", "เมื่อวานฉันรับเลี้ยงสุนัขตัวหนึ่ง ชื่อโกโก้"), ("มาลี", "ฉันกำลังเรียนกีตาร์"),
           ("สมชาย", "เดือนหน้าฉันจะไปเที่ยวลิสบอน"), ("มาลี", "วันนี้อากาศดีจัง"), ("สมชาย", "เย็นนี้กินสุกี้กัน")],
}  # fmt: skip
_QUESTIONS = {
    "zh": [("狗叫什么名字？", "旺财"), ("小红在学什么乐器？", "吉他"), ("小明去哪里旅行？", "里斯本")],
    "ja": [
        ("犬の名前は何ですか？", "ポチ"),
        ("花子は何を習っていますか？", "ギター"),
        ("太郎はどこへ旅行に行きますか？", "リスボン"),
    ],
    "th": [("สุนัขชื่ออะไร", "โกโก้"), ("มาลีกำลังเรียนอะไร", "กีตาร์"), ("สมชายจะไปเที่ยวที่ไหน", "ลิสบอน")],
}


def test_a_run_in_such_languages_ranks_reads_and_judges(tmp_path: Path) -> None:
    lines = [
        {
            "id": language,
            "sessions": [{"date": "2023-05-08", "turns": [{"speaker": who, "text": text} for who, text in talk]}],
            "questions": [
                {"question": question, "answer": answer, "evidence": [f"S1:{place}"]}
                for place, (question, answer) in enumerate(_QUESTIONS[language], start=1)
            ],
        }
        for language, talk in _TALKS.items()
    ]
    data = tmp_path / "talks.jsonl"
    data.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    run = ee.evaluate(
        data=data, backends=["bm25"], reader="offline", judge="offline", budget=40, out=tmp_path / "run"
    )  # fmt: skip
    backends = run.summary.backends
    assert (backends["oracle"].mean("accuracy") or 0) > 0.8
    assert (backends["oracle"].mean("f1") or 0) > 0.2
    assert (backends["bm25"].mean("evidence_recall") or 0) > 0.8
    assert "9 questions in a writing system without spaces" in run.table()
    golds = {
        f"{language}:q{i}": answer for language, pairs in _QUESTIONS.items() for i, (_, answer) in enumerate(pairs)
    }
    right = ee.grade(golds, data=data, judge="offline", out=tmp_path / "right").summary.backends["answers"]
    assert (right.mean("accuracy"), right.mean("f1")) == (1.0, 1.0)
    others = dict(zip(golds, [*list(golds.values())[1:], "旺财"], strict=True))
    wrong = ee.grade(others, data=data, judge="offline", out=tmp_path / "wrong").summary.backends["answers"]
    assert wrong.mean("accuracy") == 0.0
