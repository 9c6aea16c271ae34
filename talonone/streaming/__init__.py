"""A stream's records, from messages in any order to outcomes. The Beam steps that feed it are in transforms/."""
