"""Prices, usage by role, and budgets, which are never exceeded."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.llm import LLM, BudgetTracker, LLMError, LLMSettings, OverBudget
from engram_eval.llm.cost.prices import Prices
from tests.llm.conftest import Client, chat
from tests.llm.server import DROPS, Server, Step, refuses, says


def test_usage_is_counted_by_role_with_cached_calls_and_failed_answers(client: Client) -> None:
    async def main(llm: LLM) -> dict[str, dict[str, float]]:
        await chat(llm, "a", role="reader")
        await chat(llm, "a", role="reader")
        await chat(llm, "b", role="judge", model="local")
        with pytest.raises(LLMError):
            await chat(llm, "c", role="judge", model="gpt-4o")
        return llm.usage()

    with Server(says("x", prompt=100), says("y", prompt=10), says("z", prompt=1000, finish="length")) as server:
        usage = client.run(server.url, main)
    answered, cut = (100 * 0.15 + 5 * 0.6) / 1e6, (1000 * 2.5 + 5 * 10) / 1e6
    columns = ("calls", "cached", "prompt_tokens", "completion_tokens", "unpriced")
    assert [usage["reader"][c] for c in columns] == [2, 1, 200, 10, 0]
    assert [usage["judge"][c] for c in columns] == [2, 0, 1010, 10, 1]
    assert usage["reader"]["cost_usd"] == pytest.approx(2 * answered)
    assert usage["reader"]["spent_usd"] == pytest.approx(answered)
    assert usage["judge"]["cost_usd"] == pytest.approx(cut)


def test_the_cached_part_of_a_prompt_costs_less(client: Client) -> None:
    body = says("x", prompt=1000, completion=0).body
    body = body.replace(
        b'"prompt_tokens": 1000', b'"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 600}'
    )
    with Server(Step(body=body)) as server:
        costs = [client.chat(server.url).cost_usd for _ in range(2)]
    assert costs == [pytest.approx((400 * 0.15 + 600 * 0.075) / 1e6)] * 2


def test_a_dated_snapshot_costs_what_its_model_costs_unless_it_has_a_price_of_its_own() -> None:
    prices = Prices()
    assert prices.of("gpt-4o-mini-2024-07-18") == prices.of("gpt-4o-mini")
    assert prices.of("gpt-4o-2024-05-13") != prices.of("gpt-4o")
    assert prices.of("gpt-4o-mini-finetuned") is None


def test_a_users_price_file_takes_precedence(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('[models]\n"gpt-4o-mini" = { input = 1, output = 2 }\nlocal = { input = 0, output = 0 }\n')
    with Server(says("x", prompt=1_000_000, completion=500_000)) as server:
        assert client.chat(server.url, settings={"prices": path}).cost_usd == 2.0
        client.chat(server.url, model="local", settings={"prices": path, "max_cost_usd": 0})
    assert Prices(path).of("gpt-4o") == Prices().of("gpt-4o")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("models = 1", "'models' is 1, not an object"),
        ("", "'models' is missing"),
        ("x", "not TOML"),
        ("[models]\na = 1", "'models.a' is 1, not an object"),
        ("[models]\na = {input = 1}", "'models.a.output' is missing"),
        ("[models]\na = {input = -1, output = 1}", "'models.a.input' is -1, not 0 or more"),
        ("[models]\na = {input = 1, output = 'x'}", "'models.a.output' is 'x', not a number"),
        ("[models]\na = {input = nan, output = 1}", "'models.a.input' is nan, not a finite number"),
    ],
)
def test_a_fault_in_a_price_file_is_named_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        Prices(path)
    assert f"own.toml: {fault}" in str(caught.value)
    assert str(caught.value).endswith("; write dollars per million tokens, as in engram_eval/llm/cost/prices.toml")
    with pytest.raises(UserError, match="cannot be read"):
        Prices(tmp_path / "absent.toml")


def test_a_budget_refuses_a_model_without_a_price_before_anything_is_sent(client: Client) -> None:
    with Server() as server, pytest.raises(UserError, match="--max-cost needs a price for local"):
        client.chat(server.url, model="local", settings={"max_cost_usd": 5.0})
    assert server.asked == []


async def _as_many_as_the_budget_allows(llm: LLM, count: int) -> tuple[int, int]:
    outcomes = await asyncio.gather(*(chat(llm, f"q{i}", max_tokens=100) for i in range(count)), return_exceptions=True)
    stopped = [o for o in outcomes if isinstance(o, OverBudget)]
    assert all(isinstance(o, OverBudget | LLMError) for o in outcomes if isinstance(o, BaseException))
    return sum(not isinstance(o, BaseException) for o in outcomes), len(stopped)


_WORST = (100 * 0.6) / 1e6  # dollars for one call's completion; its prompt costs a tenth of that


@pytest.mark.parametrize("in_flight", [1, 16])
@pytest.mark.parametrize("used", [5, 100])
def test_a_budget_is_never_exceeded_and_is_used_up(client: Client, in_flight: int, used: int) -> None:
    cost = (40 * 0.15 + used * 0.6) / 1e6
    budget = 20.5 * cost + _WORST
    with Server(answer=lambda _: says("fine", prompt=40, completion=used)) as server:
        answered, stopped = client.run(
            server.url, lambda llm: _as_many_as_the_budget_allows(llm, 60), max_cost_usd=budget, max_in_flight=in_flight
        )
        assert answered * cost <= budget
        assert answered >= 19
        assert answered + stopped == 60
        assert len(server.asked) == answered


def test_calls_that_may_have_been_charged_for_count_against_the_budget(client: Client) -> None:
    served = 0

    def answer(_: dict[str, Any]) -> Step:
        nonlocal served
        served += 1
        return DROPS if served % 2 else says("fine", prompt=40, completion=100)

    budget = 20 * (40 * 0.15 + 100 * 0.6) / 1e6
    with Server(answer=answer) as server:
        client.run(server.url, lambda llm: _as_many_as_the_budget_allows(llm, 40), max_cost_usd=budget, max_in_flight=4)
    assert 15 <= served <= 20


def test_refused_calls_cost_nothing(client: Client) -> None:
    with Server(*[refuses(500)] * 6) as server:
        assert client.chat(server.url, max_tokens=100, settings={"max_cost_usd": 1.5 * _WORST}).text == "fine"


def test_if_a_server_reports_more_than_was_estimated_the_estimates_grow(client: Client) -> None:
    """After the first call, the worst case follows what was reported."""
    cost = (100_000 * 0.15) / 1e6
    with Server(answer=lambda _: says("fine", prompt=100_000, completion=0)) as server:
        answered, _ = client.run(
            server.url, lambda llm: _as_many_as_the_budget_allows(llm, 20), max_cost_usd=5.5 * cost, max_in_flight=1
        )
    assert answered == 5


def test_the_error_that_stops_a_run_names_what_is_spent_and_cached_answers_are_still_returned(client: Client) -> None:
    with Server() as server:
        client.chat(server.url)
        assert client.chat(server.url, settings={"max_cost_usd": 0}).cached
        with pytest.raises(OverBudget) as caught:
            client.chat(server.url, "other", settings={"max_cost_usd": 0.0001})
    assert re.search(r"could cost \$0\.\d+ and \$0\.0000 of --max-cost \$0\.0001 are spent; go on", str(caught.value))
    assert isinstance(caught.value, UserError)


def test_money_spent_before_a_run_was_resumed_counts_against_its_budget(client: Client) -> None:
    async def main(url: str) -> tuple[int, float, float, str]:
        tracker = BudgetTracker(10.5 * _WORST, spent_usd=5 * _WORST)
        before = tracker.spent_usd
        llm = LLM(LLMSettings(base_url=url), client.folder, budget_tracker=tracker)
        answered, _ = await _as_many_as_the_budget_allows(llm, 8)
        with pytest.raises(OverBudget) as caught:
            await chat(llm, "one more", max_tokens=100)
        await llm.close()
        assert llm.usage()["reader"]["spent_usd"] == pytest.approx(answered * _WORST)
        return answered, before, tracker.spent_usd, str(caught.value)

    with Server(answer=lambda _: says("x", prompt=0, completion=100)) as server:
        answered, before, spent, sentence = asyncio.run(main(server.url))
    assert answered in (4, 5)
    assert before == 5 * _WORST
    assert spent == pytest.approx((5 + answered) * _WORST)
    assert f"${spent:.4f} of --max-cost" in sentence


def test_two_clients_may_share_one_budget(client: Client) -> None:
    async def main(first: str, second: str) -> tuple[int, dict[str, dict[str, float]]]:
        tracker = BudgetTracker(10.5 * _WORST)
        llms = [LLM(LLMSettings(base_url=url), client.folder, budget_tracker=tracker) for url in (first, second)]
        answered = [(await _as_many_as_the_budget_allows(llm, 8))[0] for llm in llms]
        for llm in llms:
            await llm.close()
        return sum(answered), llms[0].usage()

    with Server(answer=lambda _: says("x", prompt=0, completion=100)) as first, Server(answer=first.answer) as second:
        answered, usage = asyncio.run(main(first.url, second.url))
    assert answered in (9, 10)
    assert usage["reader"]["calls"] == answered
