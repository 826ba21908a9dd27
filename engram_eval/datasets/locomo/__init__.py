"""LoCoMo: everything that is peculiar to it, declared in benchmark.py."""

from engram_eval.datasets.locomo.benchmark import LOCOMO

__all__ = ["LOCOMO"]
