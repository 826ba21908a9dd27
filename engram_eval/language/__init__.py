"""Words, dates and tokens."""
