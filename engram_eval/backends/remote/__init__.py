"""Memories elsewhere, in another process or on another machine: the messages that they answer, and the ways to reach them."""
