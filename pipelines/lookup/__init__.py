"""Reads from a file of ids, with one line of output for each input."""
