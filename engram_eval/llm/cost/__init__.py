"""Computes what calls cost, estimates it in advance, and keeps runs within their budget."""
