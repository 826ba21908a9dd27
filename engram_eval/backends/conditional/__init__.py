"""Conditional memory (after DeepSeek's Engram, arXiv 2601.07372): turns looked up by hashed N-grams in constant time.

ingest   `addressing` numbers a turn's N-grams, `tables` keep the turn's number in their buckets, `store` the turn
recall   `tables` name the turns whose N-grams the question shares, `fusion` gates and spreads their scores

The files stand in that order; `memory` ties them together.
"""

from engram_eval.backends.conditional.memory import ConditionalBackend, ConditionalMemory

__all__ = ["ConditionalBackend", "ConditionalMemory"]
