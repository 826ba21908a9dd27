"""Judges decide whether an answer is right; this package also measures how reliable a judge is.

`judge` defines what a judge is, `offline` and `llm` are the two kinds, `agreement` compares a judge with recorded verdicts, and
`probe` tests it with answers whose right verdict is known.
"""
