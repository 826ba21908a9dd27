"""Tables and notes, and their rendering in a terminal, Markdown, HTML and CSV. Nothing here knows what the numbers mean."""
