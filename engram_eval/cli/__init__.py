"""The command line, one file per command: each parses its arguments, calls functions that Python users can call, and prints."""
