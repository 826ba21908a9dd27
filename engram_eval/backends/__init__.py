"""The memories that a run measures: the protocol that every memory implements, the built-in memories, and the controls."""
