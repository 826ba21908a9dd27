"""Dialogues: the format for a user's own data, declared in benchmark.py."""

from engram_eval.datasets.dialogues.benchmark import DIALOGUES

__all__ = ["DIALOGUES"]
