"""Finished runs side by side: pairing, paired tests, result tables, notes, and published figures."""
