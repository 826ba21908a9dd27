"""LongMemEval's three files: everything that is peculiar to them, declared in benchmark.py."""

from engram_eval.datasets.longmemeval.benchmark import LONGMEMEVAL_M, LONGMEMEVAL_ORACLE, LONGMEMEVAL_S

__all__ = ["LONGMEMEVAL_M", "LONGMEMEVAL_ORACLE", "LONGMEMEVAL_S"]
