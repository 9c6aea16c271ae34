"""Lookups, by the command and in a pipeline of a user."""
