"""Judges: an answer to a verdict."""
