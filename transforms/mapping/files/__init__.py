"""Mapping files: YAML with line numbers, checked against the records' models, compiled to rules."""
