"""What a run leaves behind when it ends, however it ends, and what is said of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from engram_eval.errors import UserError

if TYPE_CHECKING:
    from engram_eval.results.folder import RunFolder
    from engram_eval.results.summary import Summary
    from engram_eval.run.models import ModelClients


def run_to_completion(
    work: Coroutine[Any, Any, None], folder: RunFolder, roles: ModelClients, *, command: str
) -> Summary | None:
    """Does the work of a run or a grading, and leaves the folder as it is to be left, however that ended.

    Returns the summary; None after Ctrl-C, with `command`, by which it is finished, told.
    """
    from engram_eval.results.folder import InUse

    async def closing() -> None:
        try:
            await work
        finally:
            await roles.close()

    roles.journal_to(folder.keep_spent)
    try:
        asyncio.run(closing())
    except InUse:  # the folder is another process's
        raise
    except UserError:
        write_end(folder, roles, finished=False)
        raise
    except KeyboardInterrupt:
        write_end(folder, roles, finished=False)
        print(
            f"\nengram-eval: interrupted; finish it with: engram-eval {command} --resume {folder.path}", file=sys.stderr
        )
        return None
    return write_end(folder, roles, finished=True)


def write_end(folder: RunFolder, roles: ModelClients, *, finished: bool) -> Summary:
    """Writes usage, cache keys and the summary, which is returned."""
    from engram_eval.metrics.summary import summarise
    from engram_eval.results.manifest import RoleUsage
    from engram_eval.results.provenance import now

    usage = {role: RoleUsage(**figures) for role, figures in roles.usage().items()}
    folder.keep_cache_keys(roles.take_used_keys())
    manifest = folder.manifest().with_usage(usage, finished=now() if finished else None)
    folder.write_manifest(manifest)
    summary = summarise(folder.records(), manifest)
    folder.write_summary(summary)
    return summary


def print_usage(folder: RunFolder) -> None:
    """What each role used, over all processes that worked on the run, and where the run lies."""
    for role, used in folder.manifest().usage.items():
        print(
            f"{role}: {used.calls:,.0f} calls, {used.cached:,.0f} from the cache, "
            f"{used.prompt_tokens:,.0f} + {used.completion_tokens:,.0f} tokens, ${used.spent_usd:.4f} spent"
            + (f", {used.unpriced:,.0f} calls without a price" if used.unpriced else "")
        )
    print(f"Records, summary and manifest: {folder.path}")
