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
    """A page, and everything that it printed, requested or popped up."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.problems: list[str] = []
        self.page = browser.new_context(offline=True, **settings).new_page()
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self._check_request(request.url, path))
        self.page.goto(path.as_uri())

    def _check_request(self, url: str, path: Path) -> None:
        if url != path.as_uri():
            self.problems.append(f"request: {url[:100]}")

    def ready(self) -> Any:
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small")
    records = [changed(item, evidence_found=[]) if item.correct is False else item for item in run()]
    run_folder = folder(path / "mine", records, context=lambda item: f"[8 May]\nwhat {item.backend} retrieved")
    text = page(run_folder)
    (path / "report.html").write_text(text, "utf-8")
    return path / "report.html"


def test_hostile_texts_are_shown_and_cannot_act(browser: Any, tmp_path: Path) -> None:
    text = page(hostile(tmp_path / "hostile"))
    (tmp_path / "report.html").write_text(text, "utf-8")
    opened = Opened(browser, tmp_path / "report.html")
    shown = opened.ready()
    for number in range(shown.locator(".ask").count()):
        shown.locator(".ask").nth(number).click()
        shown.wait_for_selector(".side")
        shown.eval_on_selector_all(".detail details", "folds => folds.forEach(fold => fold.open = true)")
    shown.wait_for_selector(".context p")
    shown.fill("#search", "</script>")
    shown.eval_on_selector_all("*", "nodes => nodes.forEach(node => node.dispatchEvent(new Event('mouseover')))")
    assert shown.evaluate("window.owned") is None
    assert opened.problems == []
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
    shown.select_option("#failure-stage", label="stored, not retrieved")
    assert count.inner_text() == "1 of 4 questions"
    shown.click(".ask")
    side = shown.locator(".side", has_text="bm25")
    side.wait_for()
    assert "error: OSError: no" in side.inner_text()
    assert "wrong" not in side.inner_text()
    assert "failure stage: stored, not retrieved" in shown.locator(".side", has_text="engram").inner_text()
    shown.click("#clear")
    sync_api.expect(count).to_have_text("4 questions")
    shown.fill("#search", "A:Q0")
    assert count.inner_text() == "1 of 4 questions"
    shown.fill("#search", "nothing like it")
    assert count.inner_text() == "0 of 4 questions"
    assert opened.problems == []


def test_questions_on_which_two_backends_differ(browser: Any, small: Path) -> None:
    shown = Opened(browser, small).ready()
    shown.select_option("#first", label="engram")
    shown.select_option("#second", label="bm25")
    names = shown.locator("#pairs").inner_text()
    assert "only one right (1)" in names
    assert "not comparable (1)" in names  # one of its answers ended in an error
    shown.click("#pairs button:has-text('only the first right')")
    assert shown.locator("#count").inner_text() == "1 of 4 questions"


def test_the_page_can_be_used_by_keyboard_alone(browser: Any, small: Path) -> None:
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


def test_light_dark_phone_and_print(browser: Any, small: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    dark = Opened(browser, small, color_scheme="dark").ready()
    light = Opened(browser, small, color_scheme="light").ready()
    assert dark.evaluate(background) != light.evaluate(background)
    dark.click("#theme")
    assert dark.evaluate(background) == light.evaluate(background)
    phone = Opened(browser, small, viewport={"width": 390, "height": 800}).ready()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.locator(".plot.wide").first.is_hidden()
    light.emulate_media(media="print")
    assert light.locator("#filters").is_hidden()


def test_a_sweep_is_visible_at_every_width_and_has_its_numbers(browser: Any, tmp_path: Path) -> None:
    entries = {str(value): {**backend(), "backend": "mine", "settings": {"value": value}} for value in (1, 2, 3)}
    records = [changed(item, backend=label) for label in entries for item in run()[4:8]]
    (tmp_path / "report.html").write_text(page(folder(tmp_path / "mine", records, backends=entries)), "utf-8")
    for width, visible, hidden in ((1280, "wide", "narrow"), (390, "narrow", "wide")):
        opened = Opened(browser, tmp_path / "report.html", viewport={"width": width, "height": 800})
        figure = opened.ready().locator("figure", has_text="Sweep of value (mine)")
        assert figure.locator(f".plot.{hidden}").is_hidden()
        card, drawn = figure.bounding_box(), figure.locator(f".plot.{visible} svg").bounding_box()
        assert 0 <= card["x"] <= drawn["x"]
        assert drawn["x"] + drawn["width"] <= card["x"] + card["width"] <= width
        figure.locator("summary").click()
        assert figure.locator("table tbody tr").count() == 3
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
        assert opened.problems == []


def test_without_scripts_everything_but_the_questions_is_readable(browser: Any, small: Path) -> None:
    shown = Opened(browser, small, java_script_enabled=False).page
    assert "not LLM-judge scores" in shown.locator("main").inner_text()
    assert shown.locator(".plot.wide svg").count() >= 5
    assert shown.locator("noscript").is_visible()
