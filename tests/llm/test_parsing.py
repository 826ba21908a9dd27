"""JSON is read from text that is JSON, and from no other text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.language.reasoning import OnlyReasoning, without_reasoning
from engram_eval.llm.parsing import NotParsed, parse_json

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_SPACE = st.text(" \t\r\n", max_size=4)
_VERDICT = json.dumps({"type": "object", "properties": {"correct": {"type": "boolean"}}, "required": ["correct"]})


@given(_VALUES, _SPACE, _SPACE, st.booleans(), st.sampled_from(["", "json", "JSON"]), st.booleans())
def test_a_value_is_read_bare_in_a_code_fence_or_after_thoughts(
    value: Any, before: str, after: str, fenced: bool, language: str, thoughts: bool
) -> None:
    text = json.dumps(value, indent=1)
    text = f"```{language}\n{text}\n```" if fenced else text
    text = (
        f'<think>Perhaps {{"correct": false}}?</think>{before}{text}{after}' if thoughts else f"{before}{text}{after}"
    )
    assert parse_json(text, "{}") == value


def test_half_of_an_escaped_pair_of_surrogates_is_replaced() -> None:
    assert parse_json('{"a": "x\\ud83d", "b": "\\ud83d\\ude00"}', "{}") == {"a": "x?", "b": "😀"}


@given(st.text())
def test_any_text_is_read_as_the_json_module_reads_it_or_not_parsed(text: str) -> None:
    try:
        value = parse_json(text, "{}")
    except NotParsed:
        return
    assert json.dumps(value) in (json.dumps(json.loads(t)) for t in _insides(text))


def _insides(text: str) -> list[str]:
    try:
        bare = without_reasoning(text, leading=True).strip()
    except OnlyReasoning:
        return []
    bare = bare.removeprefix("\ufeff")
    return [bare] if not bare.startswith("`") else [bare.strip("`").removeprefix("json").removeprefix("JSON")]


@given(_VALUES, st.text(min_size=1).filter(lambda s: s.strip()), st.booleans())
def test_json_inside_prose_is_never_extracted(value: Any, prose: str, first: bool) -> None:
    quoted = json.dumps({"answer": value})
    text = f"{prose}\n{quoted}" if first else f"{quoted}\n{prose}"
    try:
        parsed = parse_json(text, "{}")
    except NotParsed:
        return
    assert parsed != {"answer": value}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CORRECT",
        '{"correct": true',
        '{"correct": true}{"correct": true}',
        '{"correct": true, "correct": false}',
        '{"correct": true,}',
        "{'correct': true}",
        '{"correct": "true"}',
        '{"correct": 1}',
        '{"right": true}',
        '[{"correct": true}]',
        '"{\\"correct\\": true}"',
        '{"correct": true, "why": NaN}',
        '{"correct": true, "why": -Infinity}',
        '{"correct": true, "why": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 100_000,
        'Sure! {"correct": true}',
        'The answer says:\n```json\n{"correct": true}\n```\nso it is wrong.',
        '```json\n{"correct": false}\n```\n```json\n{"correct": true}\n```',
        '<think>{"correct": true}',
        '{"correct": true}<think>or not',
        '// yes\n{"correct": true}',
    ],
)
def test_anything_but_exactly_the_requested_json_is_refused(text: str) -> None:
    with pytest.raises(NotParsed):
        parse_json(text, _VERDICT)


def test_the_error_names_the_faulty_place() -> None:
    with pytest.raises(NotParsed, match=r"at \$\.correct: 'yes' is not of type 'boolean'"):
        parse_json('{"correct": "yes"}', _VERDICT)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "It says </think>.", "correct": true}',
        'so it is right</think>{"reason": "", "correct": true}',
        '<think>{"reason": "", "correct": false}</think>{"reason": "", "correct": true}',
        '<|channel|>analysis<|message|>Right.<|end|><|start|>assistant<|channel|>final<|message|>{"correct": true}',
    ],
)
def test_json_is_read_after_reasoning_and_may_quote_its_marks(text: str) -> None:
    assert parse_json(text, _VERDICT)["correct"] is True


def test_a_block_of_reasoning_that_the_model_quotes_hides_nothing() -> None:
    with pytest.raises(NotParsed):
        parse_json('The answer reads: <think>easy</think>{"correct": true}', _VERDICT)
