"""Files, folders, SQLite, the network and tasks."""
