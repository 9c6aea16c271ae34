"""The command `mappings`: presets, a trial of a mapping on a sample, and a draft from one. It sends nothing."""
