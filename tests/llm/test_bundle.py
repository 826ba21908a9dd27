"""A published run can be repeated from its bundle; a bundle that is not whole and in order changes nothing."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.errors import UserError
from engram_eval.llm import LLM, CacheMiss, Completion, Embedded, LLMError, ResponseCache
from engram_eval.llm.cache.bundle import KEYS_FILE, Entries, Imported, export_bundle, import_bundle
from engram_eval.llm.cache.response_cache import Response, Vector, cache_file
from tests.llm.conftest import KEY, Client, chat
from tests.llm.server import Server, Step, says, sends

EMBEDDER = "text-embedding-3-small"


def _answer(client: Client) -> Callable[[dict[str, Any]], Step]:
    def answer(body: dict[str, Any]) -> Step:
        client.time.now += 0.1 + len(str(body)) / 7  # latencies that have no short decimal
        if "input" not in body:
            return says(f"ä\x00\u2028 {body['messages'][0]['content']} 😀 {KEY}", prompt=100)
        rows = [
            {"index": i, "embedding": base64.b64encode(np.array([len(t) / 3, -0.0], "<f4").tobytes()).decode()}
            for i, t in enumerate(body["input"])
        ]
        return sends({"data": rows, "usage": {"prompt_tokens": 10}})

    return answer


async def _work(llm: LLM) -> tuple[list[Completion], Embedded, frozenset[bytes]]:
    completions = [await chat(llm, text) for text in ("a", "b", "c")]
    return completions, await llm.embed(role="embedder", model=EMBEDDER, texts=["x", "yy", " "]), llm.take_used_keys()


def _entries(cache: Path) -> list[Any]:
    """All rows of the file."""
    if not cache.exists():
        return []
    db = sqlite3.connect(cache)
    rows = [row for table in ("responses", "vectors") for row in db.execute(f"SELECT * FROM {table} ORDER BY key")]
    db.close()
    return rows


def test_a_run_is_repeated_bit_for_bit_from_its_bundle_without_a_request(client: Client, tmp_path: Path) -> None:
    original, bundle = cache_file(client.folder), tmp_path / "run.jsonl.gz"
    with Server(answer=_answer(client)) as server:
        completions, embedded, keys = client.run(server.url, _work)
        sent = len(server.asked)
        assert export_bundle(original, bundle) == Entries(3, 2)
        client.folder = tmp_path / "elsewhere"
        copy = cache_file(client.folder)
        assert import_bundle(bundle, copy) == Imported(Entries(3, 2), Entries(0, 0))
        again, embedded_again, keys_again = client.run(server.url, _work, replay=True)
    assert len(server.asked) == sent
    assert again == [replace(completion, cached=True) for completion in completions]
    assert embedded_again.vectors.tobytes() == embedded.vectors.tobytes()
    assert replace(embedded_again, vectors=embedded.vectors, cached=False) == embedded
    assert keys_again == keys
    assert _entries(copy) == _entries(original)


def test_the_same_entries_give_the_same_bytes(client: Client, tmp_path: Path) -> None:
    first, again, second = (tmp_path / name for name in ("first.gz", "again.gz", "second.gz"))
    with Server(answer=_answer(client)) as server:
        client.run(server.url, _work)
    cache = cache_file(client.folder)
    export_bundle(cache, first)
    export_bundle(cache, again)
    import_bundle(first, tmp_path / "elsewhere" / "cache.sqlite")
    export_bundle(tmp_path / "elsewhere" / "cache.sqlite", second)
    assert first.read_bytes() == again.read_bytes() == second.read_bytes()
    header, *entries = gzip.decompress(first.read_bytes()).splitlines()
    assert json.loads(header) == {"engram_eval_cache": 1, "answers": 3, "embeddings": 2}
    assert len(entries) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.gz",
        "cache",
        "elsewhere",
        "first.gz",
        "second.gz",
    ]


def test_a_bundle_holds_no_key_and_no_password(client: Client, tmp_path: Path) -> None:
    bundle = tmp_path / "run.jsonl.gz"
    with Server(answer=_answer(client)) as server:  # whose answers hold the key, too
        client.run(server.url, _work)
        with pytest.raises(UserError, match="holds a password"):
            client.chat(server.url.replace("//", f"//user:{KEY}@"))
        with pytest.raises(UserError, match="holds a password or a query"):
            client.chat(f"{server.url}?key={KEY}")
    export_bundle(cache_file(client.folder), bundle)
    written = gzip.decompress(bundle.read_bytes())
    assert KEY.encode() not in written
    assert {json.loads(line)["endpoint"] for line in written.splitlines()[1:]} == {server.url}


def test_only_entries_that_the_named_runs_used_are_exported(client: Client, tmp_path: Path) -> None:
    bundle, here = tmp_path / "run.jsonl.gz", tmp_path / "cache.sqlite"
    with Server(answer=_answer(client)) as server:
        for name, texts in (("one", "ab"), ("two", "bc"), ("three", "d")):
            keys = client.run(server.url, lambda llm, texts=texts: _ask(llm, texts))  # type: ignore[misc]
            (tmp_path / name).mkdir()
            (tmp_path / name / KEYS_FILE).write_text("".join(f"{key.hex()}\n" for key in sorted(keys)) * 2)
        assert export_bundle(cache_file(client.folder), bundle, [tmp_path / "one", tmp_path / "two"]) == Entries(3, 0)
        import_bundle(bundle, here)
        client.folder = tmp_path / "elsewhere"
        import_bundle(bundle, cache_file(client.folder))
        client.run(server.url, lambda llm: _ask(llm, "abc"), replay=True)
        with pytest.raises(CacheMiss):
            client.run(server.url, lambda llm: _ask(llm, "d"), replay=True)


async def _ask(llm: LLM, texts: str) -> frozenset[bytes]:
    for text in texts:
        await chat(llm, text)
    return llm.take_used_keys()


def _small(path: Path, *, texts: tuple[str, ...] = ("first", "second")) -> Path:
    """A cache with these answers under the keys 000…, 111…, and two vectors."""
    cache = ResponseCache(path)
    for i, text in enumerate(texts):
        cache.put(bytes([i]) * 20, Response(text, "stop", 3, 1, 2, 0.25), endpoint="http://h/v1", model="m")
    vectors = {bytes([100 + i]) * 20: Vector(np.full(3, i, np.float32), 2, 0.5) for i in range(2)}
    cache.put_vectors(vectors, endpoint="http://h/v1", model="e")
    cache.close()
    return path


def test_entries_that_a_run_used_and_the_cache_lacks_are_reported_and_nothing_is_written(tmp_path: Path) -> None:
    cache, bundle = _small(tmp_path / "cache.sqlite"), tmp_path / "run.jsonl.gz"
    (tmp_path / KEYS_FILE).write_text(f"{'00' * 20}\n{'64' * 20}\n{'ff' * 20}\n")
    with pytest.raises(UserError, match="lacks 1 of the 3 answers and embeddings"):
        export_bundle(cache, bundle, [tmp_path])
    assert not bundle.exists()


@pytest.mark.parametrize(
    "content", [b"00\n", b"\n", b"\xff" * 40 + b"\n", b"0" * 10_000, b"00" * 20 + b"\n" + b"00 " * 20]
)
def test_a_line_that_is_not_a_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEYS_FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"cache_keys\.txt: line [12] is not a cache key; without --run"):
        export_bundle(_small(tmp_path / "cache.sqlite"), tmp_path / "run.jsonl.gz", [tmp_path])


def test_a_run_without_keys_and_an_unreadable_cache_are_reported(tmp_path: Path) -> None:
    cache, bundle = _small(tmp_path / "cache.sqlite"), tmp_path / "run.jsonl.gz"
    with pytest.raises(
        UserError, match=r"cache_keys\.txt: cannot be read \(there is no such file\); name the folder of a run"
    ):
        export_bundle(cache, bundle, [tmp_path / "absent"])
    with pytest.raises(UserError, match="there is no response cache to export"):
        export_bundle(tmp_path / "absent.sqlite", bundle)
    (tmp_path / "broken.sqlite").write_bytes(b"not a database, whatever its name is" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        export_bundle(tmp_path / "broken.sqlite", bundle)
    assert not bundle.exists()


def test_a_bundle_that_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    cache, bundle = _small(tmp_path / "cache" / "cache.sqlite"), tmp_path / "run.jsonl.gz"
    bundle.write_bytes(b"before")
    with pytest.raises(UserError, match=r"absent.run.gz: cannot be written \(there is no such folder"):
        export_bundle(cache, tmp_path / "absent" / "run.gz")
    with pytest.raises(UserError, match="this is a folder"):
        export_bundle(cache, tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="no space left"):
        export_bundle(cache, bundle)
    assert bundle.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "run.jsonl.gz"]


def test_an_import_does_not_replace_existing_entries(tmp_path: Path) -> None:
    bundle = tmp_path / "other.jsonl.gz"
    export_bundle(_small(tmp_path / "other.sqlite", texts=("other 1", "other 2", "other 3")), bundle)
    own = _small(tmp_path / "own.sqlite", texts=("own",))
    assert import_bundle(bundle, own) == Imported(Entries(2, 0), Entries(1, 2))
    cache = ResponseCache(own, read_only=True)
    assert [cache.get(bytes([i]) * 20).text for i in range(3)] == ["own", "other 2", "other 3"]  # type: ignore[union-attr]
    cache.close()


# --- invalid bundles --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> bytes:
    with TemporaryDirectory() as folder:
        export_bundle(_small(Path(folder) / "cache.sqlite"), Path(folder) / "bundle")
        return (Path(folder) / "bundle").read_bytes()


def _refused(content: bytes) -> str:
    """The error for a bundle with these bytes, empty if it is accepted. A refused bundle changes nothing."""
    with TemporaryDirectory() as folder:
        bundle, fresh, used = (Path(folder) / name for name in ("bundle", "fresh.sqlite", "used.sqlite"))
        bundle.write_bytes(content)
        _small(used, texts=("own",))
        before = _entries(used)
        errors = []
        for cache in (fresh, used):
            try:
                import_bundle(bundle, cache)
            except UserError as error:
                errors.append(str(error).removeprefix(f"{bundle}: "))
        if errors:
            assert not fresh.exists()
            assert _entries(used) == before
        assert len(set(errors)) <= 1 and len(errors) != 1
        return errors[0] if errors else ""


def _gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _zipped(*lines: Any) -> bytes:
    return _gz(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def _lines(whole: bytes) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(whole).splitlines()]


def test_a_whole_bundle_is_accepted(whole: bytes) -> None:
    assert _refused(whole) == ""
    assert _refused(_zipped(*_lines(whole))) == ""
    assert _refused(_zipped({"engram_eval_cache": 1, "answers": 0, "embeddings": 0})) == ""


def test_a_bundle_cut_off_anywhere_is_refused(whole: bytes) -> None:
    assert all(_refused(whole[:end]) for end in range(0, len(whole), 7))
    assert _refused(whole[:-1]) == "is cut off; fetch or export it again"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "name a bundle made with"),
        (b'{"engram_eval_cache": 1, "answers": 0, "embeddings": 0}\n', "is damaged, or not a gzip file"),
        (_gz(b"hello"), "name a bundle made with"),
        (_gz(b"[" * 100_000 + b"\n"), "name a bundle made with"),
        (_zipped([]), "name a bundle made with"),
        (_zipped({"answers": 0, "embeddings": 0}), "name a bundle made with"),
        (_zipped({"engram_eval_cache": True, "answers": 0, "embeddings": 0}), "name a bundle made with"),
        (_zipped({"engram_eval_cache": 1, "answers": -1, "embeddings": 0}), "name a bundle made with"),
        (_zipped({"engram_eval_cache": 2}), "has version 2, and this engram-eval reads version 1"),
        (_zipped({"engram_eval_cache": 1, "answers": 1, "embeddings": 0}), "fewer entries"),
        (_zipped({"engram_eval_cache": 1, "answers": 0, "embeddings": 10**11}), "fewer entries"),
        (_zipped({"engram_eval_cache": 1, "answers": 0, "embeddings": 0}, {}), "more entries"),
        (
            _zipped({"engram_eval_cache": 1, "answers": 1, "embeddings": 0}, {}),
            "line 2: 'key' is missing",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "bundle",
)
def test_a_file_that_is_not_a_bundle_is_refused_in_one_sentence(content: bytes, fault: str) -> None:
    assert fault in _refused(content)


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent: cannot be read \(there is no such file\)"):
        import_bundle(tmp_path / "absent", tmp_path / "cache.sqlite")
    with pytest.raises(UserError, match=r"cannot be read \(this is a folder\)"):
        import_bundle(tmp_path, tmp_path / "cache.sqlite")
    assert not (tmp_path / "cache.sqlite").exists()


def test_a_line_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram_eval.llm.cache.bundle._LONGEST_LINE", 1000)
    header = b'{"engram_eval_cache":1,"answers":1,"embeddings":0}\n'
    assert (
        _refused(_gz(header + b" " * 1_000_000))
        == "line 2: is cut off, or longer than 1,000 bytes; fetch or export it again"
    )


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        *((1, "key", value) for value in ("0" * 39, "0" * 41, "G" * 40, "A" * 40, 3, None, "01" * 20 + "\n")),
        *((1, "text", value) for value in (None, 3, "half \ud83d of a pair")),
        *((1, "prompt_tokens", value) for value in (-1, 1.0, True, None, "1", 10**12, 10**400)),
        *((1, "latency_s", value) for value in (-1, None, "1", True, float("nan"), float("inf"), 10**400)),
        *((1, "created", value) for value in (10**12, -1e9)),
        (3, "vector", ""),
        *((3, "vector", value) for value in ("AAA=", "AA==", "?", "é", 3, None, "AACAfw==")),
        (3, "text", "x"),
    ],
)
def test_an_invalid_entry_is_named_by_line_and_field(whole: bytes, line: int, field: str, value: Any) -> None:
    lines = _lines(whole)
    lines[line][field] = value
    assert f"line {line + 1}: '{field}' is" in _refused(_zipped(*lines))


@pytest.mark.parametrize("order", [[0, 2, 1, 3, 4], [0, 1, 1, 3, 4], [0, 1, 3, 2, 4], [0, 3, 4, 1, 2]])
def test_entries_out_of_order_or_repeated_are_refused(whole: bytes, order: list[int]) -> None:
    assert _refused(_zipped(*(_lines(whole)[i] for i in order)))


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_one_sentence_and_no_traceback(content: bytes, zipped: bool) -> None:
    assert _refused(_gz(content) if zipped else content)


@settings(max_examples=80)
@given(st.data())
def test_a_bundle_with_changed_values_is_accepted_whole_or_refused(whole: bytes, data: st.DataObject) -> None:
    lines = _lines(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        line = data.draw(st.sampled_from(lines))
        line[data.draw(st.sampled_from([*line, "other"]))] = data.draw(_VALUES)
    _refused(_zipped(*lines))


@settings(max_examples=80)
@given(st.data())
def test_a_bundle_with_changed_bytes_is_accepted_whole_or_refused(whole: bytes, data: st.DataObject) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _refused(bytes(content))


# --- several at once --------------------------------------------------------------------------------------------

_IMPORTER = """
import sys
from pathlib import Path
from engram_eval.llm.cache.bundle import import_bundle

done = import_bundle(Path(sys.argv[1]), Path(sys.argv[2]))
print(done.added.answers, done.known.answers)
"""


def test_processes_import_into_a_cache_that_others_read_and_write(client: Client, tmp_path: Path) -> None:
    bundle, here = tmp_path / "bundle.jsonl.gz", cache_file(client.folder)
    _small(tmp_path / "other.sqlite", texts=tuple(map(str, range(60))))
    export_bundle(tmp_path / "other.sqlite", bundle)
    arguments = [sys.executable, "-W", "error", "-c", _IMPORTER, str(bundle), str(here)]
    with Server() as server:
        importers = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]

        async def meanwhile(llm: LLM) -> None:
            i = 0
            while any(importer.poll() is None for importer in importers):
                await chat(llm, str(i))
                await asyncio.sleep(0.01)
                i += 1

        client.run(server.url, meanwhile)
        outputs = [importer.communicate(timeout=30) for importer in importers]
    assert [errors for _, errors in outputs] == [b"", b""]
    assert sorted(out.split() for out, _ in outputs) == [[b"0", b"60"], [b"60", b"0"]]
    cache = ResponseCache(here, read_only=True)
    assert {(kept.endpoint, kept.model): kept.answers for kept in cache.contents()} == {
        ("http://h/v1", "e"): 0,
        ("http://h/v1", "m"): 60,
        (server.url, "gpt-4o-mini"): len(server.asked),
    }
    cache.close()


def test_an_answer_that_was_an_error_is_the_same_error_after_an_import(client: Client, tmp_path: Path) -> None:
    bundle = tmp_path / "run.jsonl.gz"
    with Server(says("The", finish="length")) as server:
        with pytest.raises(LLMError):
            client.chat(server.url)
        export_bundle(cache_file(client.folder), bundle)
        client.folder = tmp_path / "elsewhere"
        import_bundle(bundle, cache_file(client.folder))
        with pytest.raises(LLMError, match="cut off"):
            client.chat(server.url, settings={"replay": True})
