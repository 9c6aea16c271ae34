"""Beam transforms: sources, decoding, ordering, sending, dead letters."""
