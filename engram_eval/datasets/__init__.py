"""Benchmarks: each is one declared value, which opens its data as conversations and questions."""
