"""ENGRAM (arXiv 2511.12960): turns routed to typed memories, the nearest of each type merged and packed.

ingest   `router` gives each turn a three-bit mask, `extractor` makes a typed record for each bit, `store` keeps them
recall   `nearest` finds, `ranking` scores, `recall` merges the top k of each type, packs them and renders them by type

The files stand in that order; `memory` ties them together.
"""

from engram_eval.backends.engram.memory import DegradedBackend, EngramBackend, EngramMemory

__all__ = ["DegradedBackend", "EngramBackend", "EngramMemory"]
