"""Wraps the operating system for all other packages: files, SQLite, JSON input, validation, the network, parallel tasks."""
