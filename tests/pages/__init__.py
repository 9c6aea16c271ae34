"""The code blocks of the pages: what they are, and that every command in them is tried by some test."""
