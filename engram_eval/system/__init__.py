"""Wraps the operating system for all other rooms: files, SQLite, JSON input, validation, the network, parallel tasks."""
