"""What many tests share: a small conversation, services with no state of their own, and the real data if it is there."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import settings

from engram_eval.backends.backend import Services
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.language.tokens import token_counter
from engram_eval.types import Conversation, ConversationInfo, Session, Turn

# No test fails by the clock: not on a busy machine, nor where what is measured is loaded by the first example.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache, finds data through the user's environment, spends the user's money, or goes
    through the user's proxy."""
    use_environment_of_tests(monkeypatch, tmp_path / "cache")


def use_environment_of_tests(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(cache))
    for name in ("ENGRAM_EVAL_DATA", "OPENAI_API_KEY", "OPENAI_BASE_URL", *PROXIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same while a fixture makes what the tests of a module share."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_environment_of_tests(monkeypatch, tmp_path_factory.mktemp("cache"))
        yield


PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
KEY = "sk-never-written-4f9a1c77"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key for a server of the test's own."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is refused. (HF_HUB_OFFLINE would not do: its readers keep it from their import on.)"""

    def refuse(*_arguments: object, **_options: object) -> socket.socket:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)


_REAL_DATA = os.environ.get("ENGRAM_EVAL_DATA")


@pytest.fixture
def real_data() -> Path:
    """The folder with real benchmark files; the test is skipped where there is none."""
    folder = Path(_REAL_DATA) if _REAL_DATA else None
    if folder is None or not (folder / "locomo5_dev.json").is_file():
        pytest.skip("ENGRAM_EVAL_DATA names no folder with real data")
    return folder


@pytest.fixture(scope="session")
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


@pytest.fixture
def services(tmp_path: Path, embedder: StaticEmbedder) -> Services:
    folder = tmp_path / "state"
    folder.mkdir()
    return Services(embedder, token_counter(), folder)


@pytest.fixture
def conversation() -> Conversation:
    """Three sessions of two friends, with a relative date, a caption, an answer that needs its question, and small talk."""
    sessions = (
        Session(
            "D1",
            datetime(2023, 5, 8, 13, 56),
            (
                Turn("D1:1", "Ann", "Hey Bob! How have you been?"),
                Turn("D1:2", "Bob", "Busy. I adopted a puppy yesterday!"),
                Turn("D1:3", "Ann", "What breed is it?"),
                Turn("D1:4", "Bob", "A corgi. [image: a photo of a small brown dog on a sofa]"),
            ),
        ),
        Session(
            "D2",
            datetime(2023, 5, 25, 9, 30),
            (
                Turn("D2:1", "Ann", "I ran a charity race for the hospital last Saturday."),
                Turn("D2:2", "Bob", "Wow, that is wonderful!"),
                Turn("D2:3", "Ann", "I usually train in the park every morning before work."),
            ),
        ),
        Session(
            "D3",
            datetime(2023, 7, 1, 20, 5),
            (
                Turn("D3:1", "Bob", "My sister Clara moved to Lisbon for a job at the aquarium."),
                Turn("D3:2", "Ann", "Lisbon is my favorite city. I want to visit in autumn."),
            ),
        ),
    )
    return Conversation(ConversationInfo("conv-1", ("Ann", "Bob")), sessions)
