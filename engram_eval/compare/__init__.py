"""Finished runs on one table, and tests of their differences."""
