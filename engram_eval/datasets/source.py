"""Finds a benchmark's file: the one the user names, or in the data folder, or in the cache; else fetches and checks it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.system.json_input import unreadable
from engram_eval.system.network import require_network
from engram_eval.system.paths import cache_folder


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that can be fetched. `url` may be `hf://datasets/OWNER/NAME/FILE`. `sha256` is None where none is published."""

    url: str
    file: str
    sha256: str | None


_ANYTHING = re.compile(b"")


def find_data(
    data: Path | None, *, patterns: tuple[str, ...], remote: Remote, holds: re.Pattern[bytes] = _ANYTHING
) -> tuple[Path, str]:
    """The file (or folder) to read, and where it came from, in words.

    `holds`: what the first megabyte of the benchmark's files matches, by which other files in the data folder are passed over.
    Tries, in this order: `data`; `$ENGRAM_EVAL_DATA`, a file, or a folder that is searched for `patterns`; the cache; the
    remote. Raises UserError if none of them has it, and without delay if there is no network.
    """
    if data is not None:
        try:
            data.stat()
        except OSError as error:
            raise unreadable(data, error) from None
        return data, f"{data} (named with --data)"
    if (named := os.environ.get("ENGRAM_EVAL_DATA")) and (file := _in_data_folder(Path(named), patterns, holds)):
        return file, f"{file} (found through ENGRAM_EVAL_DATA)"
    cached = cache_folder() / "data" / remote.file
    if cached.is_file():
        return cached, f"{cached} (cached)"
    if remote.url.startswith(_HUB) and (in_hub_cache := _in_hub_cache(remote)):
        return in_hub_cache, f"{in_hub_cache} (cached)"
    fetched = _fetch(remote, cached)
    return fetched, f"{remote.url} (fetched to {fetched})"


def _in_data_folder(folder: Path, patterns: tuple[str, ...], holds: re.Pattern[bytes]) -> Path | None:
    if not folder.exists():
        raise UserError(f"{folder}: ENGRAM_EVAL_DATA names it and it does not exist; correct or unset the variable")
    if folder.is_file():
        return folder if any(folder.match(pattern) for pattern in patterns) else None
    candidates = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    # If none is the benchmark's, the first is read, so that its own fault is reported.
    return next((file for file in candidates if holds.search(_head(file))), candidates[0] if candidates else None)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            return content.read(_HEAD)
    except OSError as error:
        raise unreadable(file, error) from None


_HEAD = 1 << 20
_HUB = "hf://datasets/"


def _in_hub_cache(remote: Remote) -> Path | None:
    """The file in Hugging Face's own cache, which needs no network."""
    import huggingface_hub

    owner, name, file = remote.url.removeprefix(_HUB).split("/", 2)
    file_in_cache = huggingface_hub.try_to_load_from_cache(f"{owner}/{name}", file, repo_type="dataset")
    return Path(file_in_cache) if isinstance(file_in_cache, str) else None


def _fetch(remote: Remote, target: Path) -> Path:
    """Fetches to `target`; a file of the hub goes into the hub's own cache, which uses links."""
    host = "https://huggingface.co" if remote.url.startswith(_HUB) else remote.url
    require_network(host, instead=f"name a local copy of {remote.file} with --data FILE")
    from datasets import DownloadConfig, DownloadManager  # takes about a second to import

    downloads = target.parent / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        config = DownloadConfig(cache_dir=downloads, max_retries=3, resume_download=True)
        fetched = Path(DownloadManager(download_config=config).download(remote.url))
    except (OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise UserError(f"{remote.url}: could not be fetched ({reason}); name a local copy with --data FILE") from None
    if remote.sha256:
        with fetched.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != remote.sha256:
            shutil.rmtree(downloads)  # so that the next attempt fetches it again
            raise UserError(
                f"{remote.url}: its sha256 is {digest}, not the pinned {remote.sha256}; "
                "if the benchmark was re-released, fetch it yourself and name it with --data FILE"
            )
    if remote.url.startswith(_HUB):
        return fetched
    fetched.replace(target)  # complete or absent, even if the process is killed
    shutil.rmtree(downloads)
    return target


def sha256_of(path: Path) -> str:
    """Of the file's content. Raises UserError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None
