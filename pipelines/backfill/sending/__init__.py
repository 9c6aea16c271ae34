"""Sending what is staged, slice by slice: selection, journal, sender, and the fold into the staging database."""
