"""Token counts equal tiktoken's, and a cut text stays within its limit."""

from __future__ import annotations

import base64
import hashlib
import inspect
import re
from pathlib import Path

import pytest
import splintr
import tiktoken
import tiktoken_ext.openai_public
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.errors import UserError
from engram_eval.language.tokens import encoding_of, token_counter, tokens_in_words

_RANKS = {"o200k_base": 199_998, "cl100k_base": 100_256}


@pytest.fixture(scope="module", params=_RANKS)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tiktoken.Encoding:
    """The real tiktoken without a network: the ranks of the embedded vocabulary are written to its cache, and tiktoken
    compares them with its own pinned sha256. If one rank differed, this fixture would fail."""
    name = request.param
    source = inspect.getsource(getattr(tiktoken_ext.openai_public, name))
    url = re.findall(r'"(https://[^"]+\.tiktoken)"', source)[0]
    embedded = splintr.Tokenizer.from_pretrained(name)
    lines = [base64.b64encode(embedded.decode_bytes([i])) + b" %d\n" % i for i in range(_RANKS[name])]
    folder: Path = tmp_path_factory.mktemp("tiktoken")
    (folder / hashlib.sha1(url.encode()).hexdigest()).write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        return tiktoken.get_encoding(name)


@settings(max_examples=400)
@given(st.text(max_size=300) | st.text(alphabet="ab 'sS\n\r\t0123,.<|>endoftxé猫👍\u200d", max_size=80))
def test_ids_equal_tiktokens_on_any_text(reference: tiktoken.Encoding, text: str) -> None:
    assert list(token_counter(reference.name).encode(text)) == reference.encode_ordinary(text)


def test_counts_equal_tiktokens_on_real_dialogue(reference: tiktoken.Encoding, real_data: Path) -> None:
    count = token_counter(reference.name).count
    texts = re.findall(
        r'"(?:text|question|blip_caption)": "((?:[^"\\]|\\.)*)"', (real_data / "locomo5_dev.json").read_text()
    )
    assert len(texts) > 3000
    assert [count(text) for text in texts] == [len(reference.encode_ordinary(text)) for text in texts]


def test_special_tokens_in_a_text_count_as_plain_text() -> None:
    assert token_counter().count("<|endoftext|>") > 1


@given(st.text(max_size=200), st.integers(0, 60))
def test_a_cut_text_is_a_beginning_within_the_limit(text: str, limit: int) -> None:
    counter = token_counter()
    head = counter.cut(text, limit)
    assert text.startswith(head)
    assert counter.count(head) <= limit
    assert head == text or counter.count(text) > limit


def test_a_cut_text_is_as_long_as_possible() -> None:
    counter = token_counter()
    text = "one two three four five six seven"
    assert counter.cut(text, 4) == "one two three four"


def test_the_error_for_an_unknown_encoding_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="'o300k' is unknown; use one of: o200k_base"):
        token_counter("o300k")


def test_an_encoding_that_must_be_fetched_fails_at_once_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "engram_eval.language.tokens._RANKS_HOST", "http://127.0.0.1:9"
    )  # the discard port: no program listens there
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="cannot be reached"):
        token_counter("p50k_base")


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openai/gpt-4-turbo", "cl100k_base"),
        ("openai/gpt-oss-20b", "o200k_harmony"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3"),
        ("llama3.2:3b", "llama3"),
        ("qwen3:8b", "qwen3"),
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "qwen2"),
        ("deepseek-r1-distill-llama-70b", "llama3"),
        ("DeepSeek-R1-Distill-Qwen-7B", "qwen2"),
        ("gemma-3-12b-it", "gemma3"),
        ("mistral-7b-instruct", None),
        ("smollm2", None),
        ("my-model", None),
        ("", None),
    ],
)
def test_a_models_encoding_is_known_by_its_name(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding
    if encoding:
        assert token_counter(encoding).count("Ann adopted a puppy.") > 4


def test_counts_in_another_encoding_than_the_models_are_an_estimate() -> None:
    assert tokens_in_words("o200k_base", None, chosen=False) == "o200k_base tokens"
    assert tokens_in_words("o200k_base", "gpt-4o-mini", chosen=False) == "o200k_base tokens"
    assert tokens_in_words("llama3", "llama3.2:3b", chosen=False) == "llama3 tokens"
    assert tokens_in_words("llama3", "mine", chosen=True) == "llama3 tokens"
    for chosen in (False, True):
        assert tokens_in_words("o200k_base", "llama3.2:3b", chosen=chosen).endswith("(an estimate for llama3.2:3b)")
    assert tokens_in_words("o200k_base", "mine", chosen=False).endswith("(an estimate for mine)")
