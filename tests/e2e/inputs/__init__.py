"""Input files: every format, odd values, misspelt and missing fields."""
