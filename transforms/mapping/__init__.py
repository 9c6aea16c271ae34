"""Foreign documents to records: mapping files, Python functions, and the presets. Pure; nothing here imports Beam."""
