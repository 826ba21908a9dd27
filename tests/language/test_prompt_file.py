"""Prompt files of the user's own: places are filled, text of others is never expanded, and faults name file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engram_eval.errors import UserError
from engram_eval.language.prompt_file import Role, parse_template, read_prompt_file

_JUDGE = "Question: {question}\nGold: {gold}\nAnswer: {answer}\nyes or no?\n"
_VALUES = {"question": "Who?", "gold": "Ann", "answer": "Bob", "date": "8 May 2023"}


def _file(folder: Path, text: str, name: str = "judge.txt") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


_PIECES = st.lists(
    st.sampled_from(["question", "gold", "answer"]).map(lambda name: ("place", name))
    | st.text(alphabet=st.characters(exclude_characters="{}"), max_size=8).map(lambda text: ("text", text))
    | st.sampled_from(["{ x }", '{"label": "yes"}', "{", "}", "{a-b}", "}}", "{{ }}"]).map(lambda text: ("text", text)),
    max_size=8,
)
_ANY = st.text(max_size=20) | st.sampled_from(
    ["{question}", "{{gold}}", "{", "}}", "{answer}{gold}", "%s", "\\1", "$gold"]
)


@given(_PIECES, _ANY, _ANY, _ANY)
@example([("place", "question"), ("place", "gold")], "{gold}", "{question}", "")
def test_whatever_is_filled_in_stays_as_it_is(
    pieces: list[tuple[str, str]], question: str, gold: str, answer: str
) -> None:
    values = {"question": question, "gold": gold, "answer": answer}
    written = " ".join(f"{{{text}}}" if kind == "place" else text for kind, text in pieces)
    expected = " ".join(values[text] if kind == "place" else text for kind, text in pieces)
    assert parse_template(written).fill(values) == expected


@given(st.text())
def test_a_text_without_braced_words_is_a_prompt_of_itself(text: str) -> None:
    template = parse_template(text)
    if not template.places and "{{" not in text:
        assert template.fill({}) == text


def test_doubled_braces_stand_for_the_text_of_a_place() -> None:
    assert parse_template("{{gold}} is {gold}, {{}}").fill({"gold": "x"}) == "{gold} is x, {}"


def test_a_text_file_is_one_user_message_without_its_last_line_end(tmp_path: Path) -> None:
    messages = read_prompt_file(_file(tmp_path, f"\n{_JUDGE}"), "judge").messages_for("any", unanswerable=False)
    assert messages.reply == "plain"
    text = "\nQuestion: Who?\nGold: Ann\nAnswer: Bob\nyes or no?"
    assert messages.fill(_VALUES) == [{"role": "user", "content": text}]


def test_a_toml_file_has_messages_for_each_category(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        """reply = "label"
system = "Grade."
user = "{question} {gold} {answer}"

[category.temporal]
user = "On {date}: {question} {gold} {answer}"
reply = "plain"

[unanswerable]
system = "Abstain?"
user = "{question} {answer}"
""",
        "judge.toml",
    )
    file = read_prompt_file(path, "judge")

    def shown(category: str, *, unanswerable: bool = False) -> list[str]:
        messages = file.messages_for(category, unanswerable=unanswerable)
        return [messages.reply, *(message["content"] for message in messages.fill(_VALUES))]

    assert shown("multi-hop") == ["label", "Grade.", "Who? Ann Bob"]
    assert shown("temporal") == ["plain", "Grade.", "On 8 May 2023: Who? Ann Bob"]
    assert shown("temporal", unanswerable=True) == ["label", "Abstain?", "Who? Bob"]


@pytest.mark.parametrize(
    ("role", "name", "text", "line", "reason"),
    [
        ("judge", "p.txt", "Is\n{answer} like {gold_answer}?", 2, "{gold_answer} is not a place of a judge's prompt"),
        ("judge", "p.txt", "Q: {question}\nG: {}", 2, "{} is not a place"),
        ("judge", "p.txt", "{question} {answer}", 1, "has no place {gold}"),
        ("judge", "p.txt", "{question} {answer} {gold} {context}", 1, "{context} is not a place of a judge's prompt"),
        ("reader", "p.txt", "{question}", 1, "has no place {context}"),
        ("reader", "p.txt", "{question}\n{context}\n{gold}", 3, "{gold} is not a place of a reader's prompt"),
        ("judge", "p.txt", " \n", 1, "is empty"),
        ("judge", "p.toml", 'reply = "label"\n', 1, "has no 'user' message"),
        (
            "judge",
            "p.toml",
            'user = "{question} {gold} {answer}"\n[category."multi-hop"]\nuser = """\n{question} {gold} {reply}"""',
            4,
            "{reply} is not a place",
        ),
        (
            "judge",
            "p.toml",
            'user = "{question} {gold} {answer}"\n\n[unanswerable]\nuser = "{question}"',
            3,
            "has no place {answer}",
        ),
    ],
)
def test_a_fault_names_file_and_line(tmp_path: Path, role: Role, name: str, text: str, line: int, reason: str) -> None:
    path = _file(tmp_path, text, name)
    with pytest.raises(UserError) as caught:
        read_prompt_file(path, role)
    assert str(caught.value).startswith(f"{path}: line {line}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("role", "text", "reason"),
    [
        (
            "judge",
            'user = "{question} {gold} {answer}"\nreply = "maybe"',
            "'reply' is 'maybe', not 'plain', 'label' or",
        ),
        ("judge", 'users = "x"', "'users' is not a known key"),
        ("judge", "user = ", "not TOML"),
        ("reader", 'user = "{question} {context}"\n[category.temporal]\nuser = "x"', "'category' is not a known key"),
    ],
)
def test_a_toml_file_of_another_form_is_refused(tmp_path: Path, role: Role, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=r"docs/prompts\.md") as caught:
        read_prompt_file(_file(tmp_path, text, "p.toml"), role)
    assert reason in str(caught.value)


def test_every_category_needs_messages_and_every_table_a_category(tmp_path: Path) -> None:
    path = _file(tmp_path, '\n[category.b]\nuser = "{question} {gold} {answer}"\n', "p.toml")
    file = read_prompt_file(path, "judge")
    file.require_categories("mine", ["b"])
    with pytest.raises(UserError, match=r"line 2: mine has no category 'b'; it has a"):
        file.require_categories("mine", ["a"])
    with pytest.raises(UserError, match="has no messages for the category 'a' of mine"):
        file.require_categories("mine", ["a", "b"])
