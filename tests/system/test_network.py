"""A missing network is noticed at once and reported in plain words."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram_eval.datasets.source import Remote, find_data
from engram_eval.errors import UserError
from engram_eval.system import network
from engram_eval.system.network import require_network


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_host_that_answers_is_reachable(listening: int) -> None:
    require_network(f"http://127.0.0.1:{listening}/x", instead="-")


def test_a_refused_connection_is_reported_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    with pytest.raises(UserError, match=r"127\.0\.0\.1 cannot be reached \(Connection refused\); use a file"):
        require_network(f"http://127.0.0.1:{port}", instead="use a file")


def test_behind_a_proxy_the_proxy_is_tried(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening}")
    require_network("https://no-such-host.invalid", instead="-")


def test_the_offline_variable_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set; use a file"):
        require_network("https://huggingface.co", instead="use a file")


def test_a_name_server_that_never_answers_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(network, "_CONNECT_SECONDS", 0.05)

    def never(*_arguments: object, **_options: object) -> socket.socket:
        released.wait()
        raise OSError

    monkeypatch.setattr(socket, "create_connection", never)
    try:
        with pytest.raises(UserError, match="no answer within"):
            require_network("https://slow.invalid", instead="-")
    finally:
        released.set()


_REMOTE = Remote("http://127.0.0.1:9/locomo10.json", "locomo10.json", "00")


class _Files(http.server.BaseHTTPRequestHandler):
    """Serves one file at /locomo10.json."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"[1]")

    def _answer(self, body: bytes) -> None:
        exists = self.path == "/locomo10.json"
        self.send_response(200 if exists else 404)
        self.send_header("Content-Length", "3" if exists else "0")
        self.end_headers()
        if exists:
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None: ...


def test_a_file_is_fetched_checked_and_kept(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        right = hashlib.sha256(b"[1]").hexdigest()
        with pytest.raises(UserError, match=r"its sha256 is .*, not the pinned 00"):
            find_data(None, patterns=(), remote=Remote(f"{base}/locomo10.json", "locomo10.json", "00"))
        with pytest.raises(UserError, match=r"absent\.json: could not be fetched \(FileNotFoundError"):
            find_data(None, patterns=(), remote=Remote(f"{base}/absent.json", "absent.json", None))
        path, origin = find_data(None, patterns=(), remote=Remote(f"{base}/locomo10.json", "locomo10.json", right))
        assert path.read_bytes() == b"[1]"
        assert "fetched to" in origin
        server.shutdown()
    assert [p.name for p in (tmp_path / "cache" / "data").iterdir()] == ["locomo10.json"]
    again = find_data(None, patterns=(), remote=Remote(f"{base}/locomo10.json", "locomo10.json", right))
    assert again == (path, f"{path} (cached)")


def test_data_is_found_by_flag_then_variable_then_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(data: Path | None = None) -> str:
        return find_data(data, patterns=("locomo10.json", "locomo[0-9]*.json"), remote=_REMOTE)[1]

    with pytest.raises(UserError, match=r"cannot be reached .*; name a local copy of locomo10\.json with --data FILE"):
        find()
    cached = tmp_path / "cache" / "data" / "locomo10.json"
    cached.parent.mkdir(parents=True)
    cached.write_text("[]")
    assert find().endswith("(cached)")
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("ENGRAM_EVAL_DATA", str(folder))
    assert find().endswith("(cached)")
    (folder / "locomo5_dev.json").write_text("[]")
    (folder / "locomo_key_errors.json").write_text("[]")
    assert "locomo5_dev.json (found through ENGRAM_EVAL_DATA)" in find()
    assert find(folder / "locomo_key_errors.json").endswith("(named with --data)")
    monkeypatch.setenv("ENGRAM_EVAL_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="ENGRAM_EVAL_DATA names it and it does not exist"):
        find()


@pytest.mark.usefixtures("no_network")
def test_a_file_in_hugging_faces_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote("hf://datasets/owner/bench/file.json", "file.json", None)
    with pytest.raises(UserError, match=r"huggingface\.co cannot be reached"):
        find_data(None, patterns=(), remote=remote)
    repository = tmp_path / "hub" / "datasets--owner--bench"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "1").write_text("[]")
    (repository / "snapshots" / "abc" / "file.json").symlink_to("../../blobs/1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    path, origin = find_data(None, patterns=(), remote=remote)
    assert path.read_text() == "[]"
    assert origin.endswith("(cached)")


def test_a_downloaded_hub_file_stays_in_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's cache returns a link into its blobs. Moved elsewhere, the link would be broken."""
    blob, link = tmp_path / "blobs" / "1", tmp_path / "snapshots" / "file.json"
    for file in (blob, link):
        file.parent.mkdir()
    blob.write_text("[]")
    link.symlink_to("../blobs/1")
    monkeypatch.setattr("engram_eval.datasets.source.require_network", lambda *_a, **_k: None)
    monkeypatch.setattr("datasets.DownloadManager.download", lambda *_a: str(link))
    path, _ = find_data(None, patterns=(), remote=Remote("hf://datasets/owner/bench/file.json", "file.json", None))
    assert path.read_text() == "[]"
    assert blob.read_text() == "[]"
