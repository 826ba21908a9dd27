"""The page in headless Chromium, with the network off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.records import backend, changed, run
from tests.report.pages import folder, hostile, page

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium or Chrome is installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A page, and everything that it said, asked for or put up."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.faults: list[str] = []
        self.page = browser.new_context(offline=True, **settings).new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self._asked(request.url, path))
        self.page.goto(path.as_uri())

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri():
            self.faults.append(f"request: {url[:100]}")

    def ready(self) -> Any:
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small")
    made = folder(path / "mine", run())
    text = page(
        made,
        causes=lambda _: {("engram", "b:q2"): "stored, not recalled"},
        context=lambda item: f"[8 May]\nwhat {item.backend} recalled",
    )
    (path / "report.html").write_text(text, "utf-8")
    return path / "report.html"


def test_hostile_texts_are_shown_and_do_nothing(browser: Any, tmp_path: Path) -> None:
    text = page(
        made := hostile(tmp_path / "hostile"),
        causes=lambda of: {record.key: record.gold for record in of.records() if record.correct is False},
        context=lambda record: f"{record.gold}\n{record.answer}",
    )
    assert made.path.exists()
    (tmp_path / "report.html").write_text(text, "utf-8")
    opened = Opened(browser, tmp_path / "report.html")
    shown = opened.ready()
    for number in range(shown.locator(".ask").count()):
        shown.locator(".ask").nth(number).click()
        shown.wait_for_selector(".side")
        shown.eval_on_selector_all(".detail details", "all => all.forEach(one => one.open = true)")
    shown.wait_for_selector(".context p")
    shown.fill("#search", "</script>")
    shown.eval_on_selector_all("*", "all => all.forEach(one => one.dispatchEvent(new Event('mouseover')))")
    assert shown.evaluate("window.owned") is None
    assert opened.faults == []
    assert shown.locator("img, iframe, .detail svg, .detail a").count() == 0
    assert "⟨U+202E⟩" in shown.locator("main").inner_text()
    for width in (1280, 390):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_filters_search_and_drill_down(browser: Any, small: Path) -> None:
    opened = Opened(browser, small)
    shown = opened.ready()
    count = shown.locator("#count")
    assert count.inner_text() == "4 questions"
    shown.select_option("#outcome", label="error")
    assert count.inner_text() == "1 of 4 questions"
    shown.select_option("#backend", label="engram")
    assert count.inner_text() == "0 of 4 questions"
    shown.select_option("#outcome", label="wrong")
    shown.select_option("#cause", label="stored, not recalled")
    assert count.inner_text() == "1 of 4 questions"
    shown.click(".ask")
    side = shown.locator(".side", has_text="bm25")
    side.wait_for()
    assert "error: OSError: no" in side.inner_text()
    assert "wrong" not in side.inner_text()
    assert "cause: stored, not recalled" in shown.locator(".side", has_text="engram").inner_text()
    shown.click("#clear")
    sync_api.expect(count).to_have_text("4 questions")
    shown.fill("#search", "A:Q0")
    assert count.inner_text() == "1 of 4 questions"
    shown.fill("#search", "nothing like it")
    assert count.inner_text() == "0 of 4 questions"
    assert opened.faults == []


def test_flipped_questions_of_two_backends(browser: Any, small: Path) -> None:
    shown = Opened(browser, small).ready()
    shown.select_option("#first", label="engram")
    shown.select_option("#second", label="bm25")
    names = shown.locator("#pairs").inner_text()
    assert "flipped (1)" in names
    assert "not comparable (1)" in names  # the one that ended in an error
    shown.click("#pairs button:has-text('only the first right')")
    assert shown.locator("#count").inner_text() == "1 of 4 questions"


def test_it_is_used_by_keyboard_alone(browser: Any, small: Path) -> None:
    shown = Opened(browser, small).ready()
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    shown.keyboard.press("Enter")
    reached = set()
    for _ in range(60):
        shown.keyboard.press("Tab")
        reached.add(shown.evaluate("document.activeElement.id || document.activeElement.className"))
        if "ask" in reached:
            break
    assert {"search", "backend", "outcome", "first", "clear", "ask"} <= reached
    assert shown.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.keyboard.press("Enter")
    shown.wait_for_selector(".side")
    assert shown.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    shown.keyboard.press("Tab")
    shown.keyboard.press("Escape")
    assert shown.locator(".detail").count() == 0
    assert shown.evaluate("document.activeElement.className") == "ask"


def test_light_dark_phone_and_paper(browser: Any, small: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = Opened(browser, small, color_scheme="dark").ready()
    light = Opened(browser, small, color_scheme="light").ready()
    assert dark.evaluate(paper) != light.evaluate(paper)
    dark.click("#theme")
    assert dark.evaluate(paper) == light.evaluate(paper)
    phone = Opened(browser, small, viewport={"width": 390, "height": 800}).ready()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.locator(".plot.wide").first.is_hidden()
    light.emulate_media(media="print")
    assert light.locator("#filters").is_hidden()


def test_a_sweep_is_seen_on_every_page_and_has_its_numbers(browser: Any, tmp_path: Path) -> None:
    described = {str(value): {**backend(), "backend": "mine", "settings": {"value": value}} for value in (1, 2, 3)}
    records = [changed(item, backend=label) for label in described for item in run()[4:8]]
    (tmp_path / "report.html").write_text(page(folder(tmp_path / "mine", records, backends=described)), "utf-8")
    for width, seen, hidden in ((1280, "wide", "narrow"), (390, "narrow", "wide")):
        opened = Opened(browser, tmp_path / "report.html", viewport={"width": width, "height": 800})
        figure = opened.ready().locator("figure", has_text="Sweep of value (mine)")
        assert figure.locator(f".plot.{hidden}").is_hidden()
        card, drawn = figure.bounding_box(), figure.locator(f".plot.{seen} svg").bounding_box()
        assert 0 <= card["x"] <= drawn["x"]
        assert drawn["x"] + drawn["width"] <= card["x"] + card["width"] <= width
        figure.locator("summary").click()
        assert figure.locator("table tbody tr").count() == 3
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
        assert opened.faults == []


def test_without_scripts_all_but_the_questions_can_be_read(browser: Any, small: Path) -> None:
    shown = Opened(browser, small, java_script_enabled=False).page
    assert "not LLM-judge scores" in shown.locator("main").inner_text()
    assert shown.locator(".plot.wide svg").count() >= 5
    assert shown.locator("noscript").is_visible()
