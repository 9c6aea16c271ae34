"""Sending what is staged, slice by slice: selection, journal, pipeline, and the fold into the staging database."""
