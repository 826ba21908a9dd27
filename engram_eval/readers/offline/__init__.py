"""The offline reader: no key, no network, an answer made of words of the context."""
