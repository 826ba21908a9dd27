"""`cache`: shows what the response cache holds, and carries it to other machines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, add_action, define
from engram_eval.cli.terminal import print_tables, say
from engram_eval.system.paths import cache_folder

if TYPE_CHECKING:
    from engram_eval.llm.cache.response_cache import Contents
    from engram_eval.llm.cost.prices import Prices


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _stats,
        """cache stats
cache export locomo-gpt-4o-mini.jsonl.gz --run results/locomo-20260101-120000
cache import locomo-gpt-4o-mini.jsonl.gz""",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    stats = add_action(actions, "stats", _stats, "show what the cache holds, by endpoint and model", "cache stats")
    stats.add_argument("--prices", type=Path, metavar="FILE", help="TOML with prices that override the packaged ones")

    export = add_action(
        actions, "export", _export, "write answers and embeddings to one file, so that others can replay a run",
        """cache export everything.jsonl.gz
cache export mine.jsonl.gz --run results/a --run results/b""",
    )  # fmt: skip
    export.add_argument("bundle", type=Path, metavar="BUNDLE", help="the file to write")
    export.add_argument(
        "--run",
        action="append",
        type=Path,
        metavar="RUN",
        help="a run's folder: only what this run used; can be repeated",
    )

    import_ = add_action(
        actions, "import", _import, "add a bundle's answers and embeddings to the cache; existing entries stay",
        "cache import mine.jsonl.gz",
    )  # fmt: skip
    import_.add_argument("bundle", type=Path, metavar="BUNDLE", help="a file that 'cache export' wrote")

    forget = add_action(
        actions, "forget", _forget, "remove what a run used from the cache, so that the next run asks for it again",
        "cache forget --run results/a",
    )  # fmt: skip
    forget.add_argument(
        "--run", action="append", type=Path, metavar="RUN", required=True, help="a run's folder; can be repeated"
    )


def _stats(options: argparse.Namespace) -> int:
    from engram_eval.llm.cache.response_cache import ResponseCache, cache_file
    from engram_eval.llm.cost.prices import Prices

    prices = Prices(options.prices)
    path = cache_file(cache_folder())
    if not path.exists():
        say(f"{path}: there is no response cache yet; a run with a model creates it")
        return DONE
    cache = ResponseCache(path, read_only=True)
    contents = cache.contents()
    cache.close()
    log = path.with_name(path.name + "-wal")  # SQLite's: entries that are not in the file itself yet
    size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    say(f"{path}: {size / 1e6:,.1f} MB{'' if contents else ', still empty'}")
    if contents:
        _print_contents(contents, prices)
    return DONE


def _print_contents(contents: list[Contents], prices: Prices) -> None:
    from rich.markup import escape

    from engram_eval.tables.table import Column, Table

    def count(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda row: getattr(row["kept"], name)

    def dollars(row: dict[str, Any]) -> float | None:
        kept = row["kept"]
        price = prices.of(kept.model)
        return price.cost(kept.prompt_tokens, kept.completion_tokens, kept.cached_prompt_tokens) if price else None

    columns = [
        Column("model", count("model"), str),
        Column("answers", count("answers"), "{:,}".format),
        Column("embeddings", count("embeddings"), "{:,}".format),
        Column("prompt tokens", count("prompt_tokens"), "{:,}".format),
        Column("completion tokens", count("completion_tokens"), "{:,}".format),
        Column("dollars", dollars, "{:,.4f}".format),
        Column("oldest, newest", lambda row: (row["kept"].oldest, row["kept"].newest), _dates),
    ]
    tables = [
        Table(escape(endpoint), columns, [{"kept": kept} for kept in group])
        for endpoint, group in groupby(contents, lambda kept: kept.endpoint)
    ]
    print_tables(tables)


def _dates(seconds: tuple[float, float]) -> str:
    """The days, in UTC."""
    return ", ".join(dict.fromkeys(datetime.fromtimestamp(moment, UTC).date().isoformat() for moment in seconds))


def _export(options: argparse.Namespace) -> int:
    from engram_eval.llm.cache.bundle import export_bundle
    from engram_eval.llm.cache.response_cache import cache_file

    written = export_bundle(cache_file(cache_folder()), options.bundle, options.run or [])
    say(f"{options.bundle}: {written} written")
    return DONE


def _import(options: argparse.Namespace) -> int:
    from engram_eval.llm.cache.bundle import import_bundle
    from engram_eval.llm.cache.response_cache import cache_file

    path = cache_file(cache_folder())
    done = import_bundle(options.bundle, path)
    say(f"{options.bundle}: {done.added} added to {path}; {done.known} were already there")
    return DONE


def _forget(options: argparse.Namespace) -> int:
    from engram_eval.llm.cache.bundle import forget_runs
    from engram_eval.llm.cache.response_cache import cache_file

    path = cache_file(cache_folder())
    say(f"{path}: {forget_runs(path, options.run)} removed")
    return DONE
