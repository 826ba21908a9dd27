"""Turns texts into unit vectors, with a built-in model or with one behind an API, and caches them on disk."""
