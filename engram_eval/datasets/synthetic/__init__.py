"""Synthetic benchmarks in the official formats, for tests without real data and for load tests of any size.

Seeded generators make the same text on every machine. No text is copied from LoCoMo or LongMemEval.
"""

from engram_eval.datasets.synthetic.files import write_json_array
from engram_eval.datasets.synthetic.locomo_style import locomo_records, session_stream
from engram_eval.datasets.synthetic.longmemeval_style import longmemeval_records

__all__ = ["locomo_records", "longmemeval_records", "session_stream", "write_json_array"]
