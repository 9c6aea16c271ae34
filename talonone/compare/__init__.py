"""Comparing what the API holds with what was sent. Pure functions; nothing is read here."""
