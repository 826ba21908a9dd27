"""Conditional memory (after DeepSeek's Engram, arXiv 2601.07372): hashed N-grams find turns in constant time.

ingest     `addressing` numbers a turn's N-grams, `tables` note the turn in their buckets, `store` keeps the turn itself
retrieve   `tables` name the turns that share N-grams with the question, `scoring` scores them and their neighbours

`memory` ties these together, declares the settings, and rebuilds damaged files, which `checksums` detect.
"""

from engram_eval.backends.conditional.memory import ConditionalBackend, ConditionalMemory

__all__ = ["ConditionalBackend", "ConditionalMemory"]
