"""Readers turn a question and a context into an answer."""
