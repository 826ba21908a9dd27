"""Published caches and bundles stay readable: their keys and their format never change unnoticed."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from engram_eval.llm import ResponseCache
from engram_eval.llm.cache.bundle import export_bundle, import_bundle
from engram_eval.llm.cache.keys import chat_key, embedding_key
from engram_eval.llm.cache.response_cache import Response

_BUNDLE = base64.b64decode(
    "H4sIAAAAAAAA/42PTWoDMQyF9z2G1tPMTEpIGejCZNtFb2AcW82YjGVji0lDKOQwWeQevUlPUiXQ0h8KY230npHepwMgbbIJGkczaGtsj9C1FR"
    "gqO8zl2mNYo3OeNhf5enOALe6hg2bigwoYX1gm3k7vx7PIZ0++9DqjKZHELxyT2CnHkFhz3CJJ1F0FVx6nf30IkhVjQPaRvtx5BYNhJLvXoprZ"
    "fCHk5FL0dMnumVNX1309thIVosNB3CC9FQ5GJ3uXn8izxbcz22klm0a0HLPMKLVSTzul1OP9w9/DfpK2eNssJ6Di/6gfvQJ1xcUBAAA="
)
_SCHEMA = {"type": "object", "properties": {"b": {}, "a": {}}}


def test_cache_keys_are_those_of_published_caches() -> None:
    message = {"role": "user", "content": "ä"}
    with_schema = chat_key("http://h/v1", "m", [message], _SCHEMA, 100, 1)
    plain = chat_key("http://h/v1", "m", [dict(reversed(message.items()))], None, 1024, 0)
    assert with_schema.hex() == "d4926448eb3ecfdb6b439cf45ad78810e9717118"
    assert plain.hex() == "afc39de188f966f6320f476584e53f8c9618c2d6"
    assert embedding_key("http://h/v1", "m", "ä").hex() == "8f927ea7ad029c7a815abf61bea93921ac09bc7c"


def test_a_published_bundle_is_read_and_exported_with_the_same_bytes(tmp_path: Path) -> None:
    bundle, file = tmp_path / "bundle.jsonl.gz", tmp_path / "cache.sqlite"
    bundle.write_bytes(_BUNDLE)
    import_bundle(bundle, file)
    cache = ResponseCache(file, read_only=True)
    assert cache.get(bytes(20)) == Response("ä\u2028", "stop", 3, 1, 2, 0.25)
    vector = cache.get_vectors([b"\x01" * 20])[b"\x01" * 20]
    assert (vector.prompt_tokens, vector.latency_s) == (2, 1e-7)
    np.testing.assert_array_equal(vector.values, np.array([1, -0.5], np.float32))
    cache.close()
    export_bundle(file, tmp_path / "again.jsonl.gz")
    assert (tmp_path / "again.jsonl.gz").read_bytes() == _BUNDLE
