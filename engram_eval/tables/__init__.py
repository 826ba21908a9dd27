"""Tables and notes, and how a terminal, Markdown and CSV show them. Nothing here knows what the numbers mean."""
