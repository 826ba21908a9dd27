"""Limits on simultaneous requests, and on requests and tokens per minute."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.errors import UserError
from engram_eval.llm import LLM, LLMError, LLMSettings
from engram_eval.llm.limits import Limits
from engram_eval.llm.transport import Endpoint
from tests.llm.conftest import Client, FakeTime, chat
from tests.llm.server import Server, Step, says, together


async def _many(llm: LLM, count: int) -> None:
    await asyncio.gather(*(chat(llm, str(i)) for i in range(count)))


@pytest.mark.parametrize("limit", [1, 5])
def test_the_number_of_simultaneous_requests_reaches_its_limit_and_never_exceeds_it(client: Client, limit: int) -> None:
    meet = together(limit)
    with Server(answer=lambda _: Step(body=says("fine").body, before=meet)) as server:
        client.run(server.url, lambda llm: _many(llm, 4 * limit), max_in_flight=limit)
    assert server.most_at_once == limit


@pytest.fixture
def _time_stands_still_for_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a loopback request could take minutes of the fake time, which other tasks advance by sleeping."""
    post = Endpoint.post

    async def timed(endpoint: Endpoint, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        client.time.on_its_way += 1
        try:
            return await post(endpoint, path, body)
        finally:
            client.time.on_its_way -= 1

    monkeypatch.setattr(Endpoint, "post", timed)


def _most_in_a_minute(arrivals: list[tuple[float, int]]) -> tuple[int, int]:
    windows = [[t for at, t in arrivals if start <= at < start + 60] for start, _ in arrivals]
    return max(map(len, windows)), max(map(sum, windows))


@pytest.mark.usefixtures("_time_stands_still_for_requests")
def test_requests_in_every_minute_of_the_server_stay_within_the_limit(client: Client) -> None:
    arrivals: list[tuple[float, int]] = []

    def answer(_: object) -> Step:
        arrivals.append((client.time.now, 15))
        return says("fine", prompt=10, completion=5)

    with Server(answer=answer) as server:
        client.run(server.url, lambda llm: _many(llm, 25), requests_per_minute=10, max_in_flight=3)
    assert len(arrivals) == 25
    assert _most_in_a_minute(arrivals)[0] == 10
    assert client.time.now - 1000 < 130  # 25 requests wait two minutes, and not longer


@pytest.mark.usefixtures("_time_stands_still_for_requests")
def test_tokens_in_every_minute_stay_within_the_limit_and_unused_ones_are_returned(client: Client) -> None:
    arrivals: list[tuple[float, int]] = []

    def answer(_: object) -> Step:
        arrivals.append((client.time.now, 100))
        return says("fine", prompt=20, completion=80)

    with Server(answer=answer) as server:
        client.run(server.url, lambda llm: _many(llm, 60), tokens_per_minute=2000, max_in_flight=8)
    most = _most_in_a_minute(arrivals)[1]
    assert 900 <= most <= 2000  # each reserved 1,064 and used 100


def test_a_request_that_alone_exceeds_the_limit_fails(client: Client) -> None:
    with Server() as server, pytest.raises(LLMError, match="more than the 500 allowed"):
        client.chat(server.url, settings={"tokens_per_minute": 500})
    assert server.asked == []


@settings(max_examples=60)
@given(
    requests=st.integers(1, 6),
    tokens=st.integers(50, 200),
    calls=st.lists(st.tuples(st.integers(0, 50), st.floats(0, 20), st.floats(0, 1)), max_size=40),
)
def test_no_minute_on_the_servers_clock_exceeds_the_limits(
    requests: int, tokens: int, calls: list[tuple[int, float, float]]
) -> None:
    """Requests reach the server some time between sending and reply, at most five seconds after sending."""
    time = FakeTime()
    arrivals: list[tuple[float, int]] = []

    async def main() -> None:
        limits = Limits(requests, tokens, time.clock, 5.0)
        for cost, duration, share in calls:
            permit = await limits.admit(cost)
            arrivals.append((time.now + share * min(duration, 5.0), cost))
            time.now += duration
            limits.finish(permit, cost)

    asyncio.run(main())
    for start, _ in arrivals:
        window = [cost for at, cost in arrivals if start <= at < start + 60]
        assert len(window) <= requests
        assert sum(window) <= tokens


@given(st.lists(st.tuples(st.integers(0, 80), st.booleans(), st.floats(0, 30)), max_size=40))
def test_the_logged_tokens_add_up_whatever_is_returned_and_when(calls: list[tuple[int, bool, float]]) -> None:
    time = FakeTime()

    async def main() -> None:
        limits = Limits(None, 100, time.clock, 5.0)
        for cost, gives_back, duration in calls:
            permit = await limits.admit(cost)
            time.now += duration
            limits.finish(permit, 0 if gives_back else cost)
            assert limits._logged_tokens == sum(entry.tokens for entry in limits._log)
        time.now += 100
        await limits.admit(100)

    asyncio.run(main())


_NAN = float("nan")


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: 0} for name in ("max_in_flight", "requests_per_minute", "tokens_per_minute", "timeout_s")),
        *({name: -1} for name in ("retries", "max_cost_usd")),
        *({name: _NAN} for name in ("timeout_s", "max_cost_usd")),
    ],
)
def test_an_impossible_limit_is_refused(wrong: dict[str, float]) -> None:
    flag = next(iter(wrong)).removesuffix("_s").removesuffix("_usd").replace("_", "-")
    with pytest.raises(UserError, match=f"--{flag} "):
        LLMSettings(**wrong)  # type: ignore[arg-type]
