"""Keeps the answers of models on disk, so that no answer is paid for twice, and exports them as a bundle."""
