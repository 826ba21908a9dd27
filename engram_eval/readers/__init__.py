"""Readers: a question and a context to an answer."""
