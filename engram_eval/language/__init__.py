"""What every other room reads text with: words and stems, dates, tokens."""
