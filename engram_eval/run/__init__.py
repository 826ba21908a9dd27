"""From settings to records."""
