"""From rows to documents for a mapping: rows grouped into one document, joined with rows of other files."""
