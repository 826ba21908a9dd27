"""Text processing for all other packages: words and stems, dates, tokens."""
