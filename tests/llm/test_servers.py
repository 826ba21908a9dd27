"""What real servers do: cut prompts, queue requests, answer with an error in a 200, and know no schemas."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.llm import LLM, Completion, LLMError
from engram_eval.llm.calls import MAX_IN_FLIGHT
from engram_eval.llm.slots import Slots
from tests.llm.conftest import Client, chat
from tests.llm.server import Answer, Server, Step, refuses, says, sends, together

LONG = "We met at the lake and talked about the boat that Ann wants to sell. " * 400
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "maxLength": 20}},
    "required": ["verdict"],
    "additionalProperties": False,
}
YES = '{"verdict": "CORRECT"}'


# --- the prompt as the server read it ---------------------------------------------------------------------------


@pytest.mark.parametrize("read", [2048, 1, 4000])
def test_a_prompt_that_the_server_cut_is_an_error_that_says_how_much_it_read(client: Client, read: int) -> None:
    with (
        Server(says("Ann", prompt=read)) as server,
        pytest.raises(LLMError, match=rf"read {read:,} tokens of a prompt of"),
    ):
        client.chat(server.url, LONG)


@pytest.mark.parametrize("read", [0, 6_300, 9_000, 20_000])
def test_a_prompt_that_another_vocabulary_counts_otherwise_is_not_called_cut(client: Client, read: int) -> None:
    with Server(says("Ann", prompt=read)) as server:
        assert client.chat(server.url, LONG).text == "Ann"


def test_a_short_prompt_is_not_looked_at(client: Client) -> None:
    with Server(says("Ann", prompt=1)) as server:
        assert client.chat(server.url, "Who wants to sell the boat?").text == "Ann"


def test_a_server_that_counts_what_it_had_cached_apart_has_read_both(client: Client) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6_700}}
    with Server(_with(says("Ann"), usage=usage)) as server:
        completion = client.chat(server.url, LONG)
    assert (completion.prompt_tokens, completion.server_cached_tokens) == (6_800, 6_700)


# --- what the server tells --------------------------------------------------------------------------------------


def test_the_served_model_and_the_first_token_are_kept_with_a_cached_answer(client: Client) -> None:
    async def main(llm: LLM) -> tuple[Completion, dict[tuple[str, str], set[str]]]:
        return await chat(llm), llm.served_models()

    timings = {"prompt_ms": 1500.0, "predicted_ms": 500.0, "cache_n": 7}
    with Server(_with(says("Ann"), model="/models/phi4.gguf", timings=timings)) as server:
        for cached in (False, True):
            completion, served = client.run(server.url, main)
            assert (completion.first_token_s, completion.server_cached_tokens, completion.cached) == (1.5, 7, cached)
            assert served == {("reader", "gpt-4o-mini"): {"phi4.gguf"}}


def test_time_in_the_servers_queue_is_not_latency(client: Client) -> None:
    def wait() -> None:
        client.time.now += 119.0

    step = _with(says("Ann"), timings={"prompt_ms": 1000.0, "predicted_ms": 2000.0})
    with Server(Step(200, step.body, before=wait)) as server:
        assert client.chat(server.url).latency_s == 3.0


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        ({"message": "the model is not loaded", "type": "invalid_request"}, 1),
        ("the model is not loaded", 1),
        ({"message": "no", "code": 400}, 1),
        ({"message": "no", "code": "429"}, 3),
        ({"message": "the engine is overloaded"}, 3),
    ],
)
def test_an_error_with_status_200_is_an_error_in_the_servers_words(client: Client, error: Any, attempts: int) -> None:
    words = error if isinstance(error, str) else error["message"]
    with Server(answer=lambda _: sends({"error": error})) as server:
        with pytest.raises(LLMError, match=words):
            client.chat(server.url, settings={"retries": 2})
        assert len(server.asked) == attempts


def test_an_error_in_the_only_choice_is_an_error_in_the_servers_words(client: Client) -> None:
    choice = {
        "finish_reason": "error",
        "error": {"code": 400, "message": "the provider failed"},
        "message": {"content": "An"},
    }
    with Server(sends({"choices": [choice]})) as server, pytest.raises(LLMError, match="the provider failed"):
        client.chat(server.url)


# --- how many requests at a time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "slots", "most"),
    [("llamacpp", 1, 1), ("llamacpp", 3, 3), ("vllm", None, MAX_IN_FLIGHT), ("library", None, 1)],
)
def test_a_server_on_this_machine_gets_as_many_requests_as_it_answers_side_by_side(
    client: Client, owner: str, slots: int | None, most: int
) -> None:
    itself = {"/v1/models": sends({"data": [{"id": "m", "owned_by": owner}]}), "/props": sends({"total_slots": slots})}
    with Server(answer=_together(most), says_of_itself=itself) as server:
        client.run(server.url, lambda llm: _ask(llm, 2 * most))
        assert server.most_at_once == most


def test_the_user_may_name_more(client: Client) -> None:
    with Server(answer=_together(5)) as server:
        client.run(server.url, lambda llm: _ask(llm, 10), max_in_flight=5)
        assert server.most_at_once == 5


def test_after_time_outs_fewer_requests_are_in_flight_and_later_more_again() -> None:
    async def main() -> None:
        slots = Slots(16)
        sent = slots.epoch
        for _ in range(16):  # they were all sent before the first of them timed out
            slots.timed_out(sent)
        assert slots.limit == 8
        for expected in (4, 2, 1, 1):
            slots.timed_out(slots.epoch)
            assert slots.limit == expected
        for _ in range(8):
            slots.answered()
        assert slots.limit == 2
        for _ in range(2000):
            slots.answered()
        assert slots.limit == 16

    asyncio.run(main())


@given(st.data())
@settings(max_examples=50)
def test_slots_are_never_exceeded_and_never_lost(data: st.DataObject) -> None:
    """Requests come, end and are cancelled in any order; at the end every one had its turn and all slots are free."""

    async def main() -> None:
        slots = Slots(data.draw(st.integers(1, 4)))
        at_once = most = ended = 0

        async def request() -> None:
            nonlocal at_once, most, ended
            async with slots.one():
                at_once += 1
                most = max(most, at_once)
                try:
                    await asyncio.sleep(0)
                    slots.answered()
                finally:
                    at_once -= 1
            ended += 1

        ceiling = slots.limit
        tasks = [asyncio.create_task(request()) for _ in range(data.draw(st.integers(1, 12)))]
        for _ in range(data.draw(st.integers(0, 6))):
            await asyncio.sleep(0)
            if data.draw(st.booleans()):
                data.draw(st.sampled_from(tasks)).cancel()
            if data.draw(st.booleans()):
                slots.timed_out(slots.epoch)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= ceiling
        assert at_once == 0
        assert ended == sum(result is None for result in results)
        async with asyncio.timeout(5):
            await request()

    asyncio.run(main())


# --- schemas ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 422, 500, 501, 503])
def test_any_status_whose_text_objects_to_the_format_leads_to_the_next_form_at_once(
    client: Client, status: int
) -> None:
    objects = refuses(status, "Input should be 'text' or 'json_object': body.response_format.type")
    with Server(objects, answer=lambda _: says(YES)) as server:
        assert client.run(server.url, _twice_with_schema) == [json.loads(YES)] * 2
    forms = [asked.body.get("response_format", {}).get("type", "text") for asked in server.asked]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert client.time.slept == []


def test_a_server_without_any_format_is_asked_in_plain_text(client: Client) -> None:
    def answer(body: dict[str, Any]) -> Step:
        return refuses(500, "response_format is not supported") if "response_format" in body else says(YES)

    with Server(answer=answer) as server:
        assert client.chat(server.url, model="phi4", schema=SCHEMA).data == json.loads(YES)
    assert len(server.asked) == 3


def test_a_server_that_refuses_limits_in_schemas_gets_the_schema_without_them(client: Client) -> None:
    with Server(refuses(400, "'maxLength' is not permitted"), answer=lambda _: says(YES)) as server:
        client.run(server.url, _twice_with_schema)
    sent = [json.dumps(asked.body["response_format"]) for asked in server.asked]
    assert ["maxLength" in text for text in sent] == [True, False, False]


def test_openais_models_get_no_limits_and_a_longer_text_is_no_error(client: Client) -> None:
    long = json.dumps({"verdict": "CORRECT, I think, all in all"})
    with Server(says(long)) as server:
        assert client.chat(server.url, schema=SCHEMA).data == json.loads(long)
    assert "maxLength" not in json.dumps(server.asked[0].body)


def test_a_property_may_be_called_like_a_limit(client: Client) -> None:
    schema = {**SCHEMA, "properties": {"maxLength": {"type": "integer"}}, "required": ["maxLength"]}
    with Server(says('{"maxLength": 3}')) as server:
        client.chat(server.url, schema=schema)
    assert server.asked[0].body["response_format"]["json_schema"]["schema"] == schema


# --- models that reason -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [says("<think>so", finish="length"), says("", finish="length", reasoning_content="so")]
)
def test_a_model_that_turns_out_to_reason_gets_room_for_it_from_then_on(client: Client, step: Step) -> None:
    async def two(llm: LLM) -> list[str]:
        return [(await chat(llm, text, model="qwen", max_tokens=50)).text for text in "ab"]

    with Server(step, says("<think>so</think>Ann"), says("Bob")) as server:
        assert client.run(server.url, two) == ["Ann", "Bob"]
    assert [asked.body["max_tokens"] for asked in server.asked] == [50, 50 + 8192, 50 + 8192]


def test_reasoning_that_was_removed_is_told(client: Client) -> None:
    with Server(says("<think>Ann?</think>Ann"), says("Bob")) as server:
        assert client.chat(server.url, "a").reasoning_removed
        assert not client.chat(server.url, "b").reasoning_removed


def _with(step: Step, **fields: Any) -> Step:
    return sends({**json.loads(step.body), **fields})


async def _twice_with_schema(llm: LLM) -> list[Any]:
    return [(await chat(llm, text, model="phi4", schema=SCHEMA)).data for text in "ab"]


async def _ask(llm: LLM, count: int) -> list[str]:
    completions = await asyncio.gather(*(chat(llm, str(number)) for number in range(count)))
    return [completion.text for completion in completions]


def _together(count: int) -> Answer:
    wait = together(count)
    return lambda _: Step(200, says("fine").body, before=wait)
