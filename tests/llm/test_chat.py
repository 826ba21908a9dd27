"""What is sent, what is received, and what counts as an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLM, LLMError
from tests.llm.conftest import KEY, Client, chat
from tests.llm.server import Server, Step, refuses, says, sends

SCHEMA = {
    "title": "verdict",
    "type": "object",
    "properties": {"correct": {"type": "boolean"}},
    "required": ["correct"],
    "additionalProperties": False,
}
YES = '{"correct": true}'


def test_an_answer_has_its_usage_cost_and_latency(client: Client) -> None:
    with Server(says("Paris", prompt=1000, completion=10)) as server:
        completion = client.chat(server.url)
    assert (completion.text, completion.data, completion.cached) == ("Paris", None, False)
    assert (completion.prompt_tokens, completion.completion_tokens) == (1000, 10)
    assert completion.cost_usd == pytest.approx((1000 * 0.15 + 10 * 0.60) / 1e6)
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 1024,
        "temperature": 0,
    }


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5-nano", "gpt-5.1", "openai/o3", "ft:gpt-5-mini:x"]
)
def test_reasoning_models_get_no_temperature_and_extra_tokens_to_think(client: Client, model: str) -> None:
    with Server() as server:
        client.chat(server.url, model=model, max_tokens=100)
    body = server.asked[0].body
    assert "temperature" not in body
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] >= 4096


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "olmo-2", "llama-o1x", "phi4"])
def test_other_models_get_temperature_zero(client: Client, model: str) -> None:
    with Server() as server:
        client.chat(server.url, model=model)
    assert server.asked[0].body["temperature"] == 0


def test_a_refused_parameter_is_learnt_once_for_each_model(client: Client) -> None:
    def answer(body: dict[str, Any]) -> Step:
        if "max_tokens" in body:
            return refuses(
                400, "Use 'max_completion_tokens' instead.", param="max_tokens", code="unsupported_parameter"
            )
        if "temperature" in body:
            return refuses(400, "'temperature' does not support 0 with this model.", param="temperature")
        return says("fine")

    async def thrice(llm: LLM) -> None:
        for text in "abc":
            await chat(llm, text, model="thinker")
        await chat(llm, "a", model="thinker-2")

    with Server(answer=answer) as server:
        client.run(server.url, thrice)
    assert [asked.body["model"] for asked in server.asked] == ["thinker"] * 5 + ["thinker-2"] * 3
    assert client.time.slept == []


def test_a_refused_parameter_named_only_in_the_message_is_learnt_too(client: Client) -> None:
    with Server(refuses(400, "temperature: Extra inputs are not permitted")) as server:
        assert client.chat(server.url).text == "fine"
    assert "temperature" not in server.asked[1].body


def test_a_server_that_refuses_every_form_of_a_parameter_gets_few_requests(client: Client) -> None:
    step = refuses(400, "max_tokens and max_completion_tokens are both wrong")
    with Server(answer=lambda _: step) as server, pytest.raises(LLMError, match="both wrong"):
        client.chat(server.url)
    assert len(server.asked) <= 4


def test_a_schema_is_sent_as_strict_and_the_answer_is_parsed(client: Client) -> None:
    with Server(says(YES)) as server:
        assert client.chat(server.url, schema=SCHEMA).data == {"correct": True}
    format_ = server.asked[0].body["response_format"]
    assert format_ == {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA, "strict": True}}


def test_a_schema_with_optional_properties_is_not_sent_as_strict(client: Client) -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    with Server(says("{}")) as server:
        client.chat(server.url, schema=loose)
    assert "strict" not in server.asked[0].body["response_format"]["json_schema"]


@pytest.mark.parametrize("status", [400, 404, 501])
@pytest.mark.parametrize(("refused", "forms"), [(("json_schema",), 2), (("json_schema", "json_object"), 3)])
def test_if_an_endpoint_does_not_support_schemas_the_next_form_is_tried_and_remembered(
    client: Client, status: int, refused: tuple[str, ...], forms: int
) -> None:
    def answer(body: dict[str, Any]) -> Step:
        if body.get("response_format", {}).get("type") in refused:
            return refuses(status, "response_format is not supported")
        return says(YES)

    async def twice(llm: LLM) -> list[Any]:
        return [(await chat(llm, text, schema=SCHEMA)).data for text in "ab"]

    with Server(answer=answer) as server:
        assert client.run(server.url, twice) == [{"correct": True}] * 2
    assert len(server.asked) == forms + 1
    assert "JSON schema" in server.asked[-1].body["messages"][-1]["content"]
    assert client.time.slept == []


def test_the_schema_is_added_to_the_system_message_if_there_is_one(client: Client) -> None:
    messages = [{"role": "system", "content": "You judge."}, {"role": "user", "content": "Is it?"}]
    with Server(refuses(400, "response_format"), says(YES)) as server:
        client.chat(server.url, schema=SCHEMA, messages=messages)
    system, user = server.asked[1].body["messages"]
    assert json.dumps(SCHEMA) in system["content"]
    assert user["content"] == "Is it?"


@pytest.mark.parametrize(
    ("step", "reason", "raw"),
    [
        (says(""), "empty", ""),
        (says("  \n"), "empty", "  \n"),
        (says(None), "empty", ""),
        (says("<think>hmm"), "reasoning that does not end", "<think>hmm"),
        (says("The answer is", finish="length"), "cut off", "The answer is"),
        (says("", finish="length"), "cut off", ""),
        (says("I can", finish="content_filter"), "refused", "I can"),
        (says(None, refusal="I cannot help."), "refused", "I cannot help."),
    ],
)
def test_an_incomplete_answer_is_an_error_that_keeps_the_text(
    client: Client, step: Step, reason: str, raw: str
) -> None:
    with Server(step) as server, pytest.raises(LLMError, match=reason) as caught:
        client.chat(server.url)
    assert caught.value.raw == raw
    assert len(server.asked) == 1


@pytest.mark.parametrize("text", ["CORRECT", '{"correct": "yes"}', '{"correct": true} and so on', "{}"])
def test_an_answer_that_does_not_satisfy_the_schema_is_an_error_that_keeps_the_text(client: Client, text: str) -> None:
    with Server(says(text)) as server, pytest.raises(LLMError) as caught:
        client.chat(server.url, schema=SCHEMA)
    assert caught.value.raw == text


def test_thoughts_in_the_text_are_not_part_of_the_answer(client: Client) -> None:
    with Server(says("<think>\nFrance, so\n</think>\n\nParis")) as server:
        assert client.chat(server.url).text == "Paris"


def test_content_in_parts_is_joined(client: Client) -> None:
    with Server(says([{"type": "text", "text": "Pa"}, {"type": "text", "text": "ris"}])) as server:  # type: ignore[arg-type]
        assert client.chat(server.url).text == "Paris"


def test_if_a_server_reports_no_usage_the_tokens_are_counted_here(client: Client) -> None:
    reply = json.loads(says("one two three").body)
    del reply["usage"]
    with Server(sends(reply)) as server:
        completion = client.chat(server.url, "hello there")
    assert (completion.prompt_tokens, completion.completion_tokens) == (2, 3)


def test_lone_surrogates_in_question_and_answer_are_replaced(client: Client) -> None:
    with Server(Step(body=says("X").body.replace(b'"X"', b'"a\\ud83db"'))) as server:
        assert client.chat(server.url, "q\ud800").text == "a?b"


@pytest.mark.parametrize(
    "step",
    [
        refuses(400, "Please reduce the length of the messages", code="context_length_exceeded"),
        refuses(
            400, "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (max_tokens)."
        ),
        refuses(400, "the request exceeds the available context size", code="exceed_context_size_error"),
        sends({"object": "error", "message": "The prompt is too long: 9000 tokens", "code": 400}, 400),
    ],
)
def test_a_request_longer_than_the_models_context_ends_in_a_clear_error(client: Client, step: Step) -> None:
    with Server(step) as server, pytest.raises(LLMError, match="longer than the model's context"):
        client.chat(server.url, schema=SCHEMA)
    assert len(server.asked) == 1


def test_a_request_refused_for_its_content_ends_in_a_clear_error(client: Client) -> None:
    with Server(refuses(400, "filtered", code="content_filter")) as server, pytest.raises(LLMError, match="content"):
        client.chat(server.url, schema=SCHEMA)
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x/v1", "http://", "http://[::1"])
def test_an_invalid_base_url_is_reported_at_once(client: Client, url: str) -> None:
    with pytest.raises(UserError, match="base URL"):
        client.chat(url)


@pytest.mark.parametrize("url", ["https://me:secret7@example.org/v1", "https://example.org/v1?key=secret7"])
def test_a_base_url_with_a_secret_is_refused_without_repeating_it(client: Client, url: str) -> None:
    with pytest.raises(UserError) as caught:
        client.chat(url)
    assert "secret7" not in str(caught.value)


def test_openai_needs_a_key_and_another_server_does_not(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        client.chat("https://api.openai.com/v1")
    with Server() as server:
        assert client.chat(server.url).text == "fine"
