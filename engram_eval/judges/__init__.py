"""Judges decide whether an answer is right; this room also measures how far a judge can be trusted.

`judge` says what a judge is, `offline` and `llm` are the two kinds, `agreement` compares a judge with recorded verdicts, and
`probe` tests it with answers whose right verdict is known.
"""
