"""The memories that are measured."""
