"""ENGRAM (arXiv 2511.12960): each turn becomes records in typed memories; the best of each type are merged and packed.

ingest     `router` decides which types a turn belongs to, `extractor` makes one record per type (both by rules;
           `llm_extraction` has a model do it), `store` keeps the records
retrieve   `vector_search` compares embeddings (`index_file` keeps an approximate index), `ranking` scores the records,
           `packing` merges the top k of each type, fits them into the budget and renders them

`memory` ties these together and declares the settings.
"""

from engram_eval.backends.engram.memory import DegradedBackend, EngramBackend, EngramMemory

__all__ = ["DegradedBackend", "EngramBackend", "EngramMemory"]
