"""Runs a plan to its end, and leaves the folder complete however it ended."""

from __future__ import annotations

from engram_eval.errors import UserError
from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import InUse, RunFolder
from engram_eval.results.manifest import RoleUsage
from engram_eval.results.provenance import now
from engram_eval.results.summary import Summary
from engram_eval.run.models import ModelClients
from engram_eval.run.plan import Plan
from engram_eval.run.runner import execute
from engram_eval.system.event_loop import run_to_end


def run_to_completion(
    plan: Plan, folder: RunFolder, *, show_progress: bool = False, debug: bool = False, keep_memories: bool = False
) -> Summary:
    """Executes the plan and returns the summary. After Ctrl-C or a UserError, which are raised, the run can be resumed."""

    async def work() -> None:
        try:
            await execute(plan, folder, show_progress=show_progress, debug=debug, keep_memories=keep_memories)
        finally:
            await plan.clients.close()

    plan.clients.journal_to(folder.keep_spent)
    try:
        run_to_end(work())
    except InUse:  # the folder belongs to another process
        raise
    except (UserError, KeyboardInterrupt):
        write_end(folder, plan.clients, finished=False)
        raise
    return write_end(folder, plan.clients, finished=True)


def write_end(folder: RunFolder, clients: ModelClients, *, finished: bool) -> Summary:
    """Writes usage, cache keys and the summary, and returns the summary."""
    usage = {role: RoleUsage(**figures) for role, figures in clients.usage().items()}
    folder.keep_cache_keys(clients.take_used_keys())
    manifest = folder.manifest().with_served(clients.served())
    manifest = manifest.with_usage(usage, finished=now() if finished else None)
    folder.write_manifest(manifest)
    summary = summarise(folder.records(), manifest)
    folder.write_summary(summary)
    return summary
