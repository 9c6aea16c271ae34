"""Checks of request bodies and query parameters, written independently of the sender's models."""
