"""Renders finished runs as one HTML page that opens without a network."""
