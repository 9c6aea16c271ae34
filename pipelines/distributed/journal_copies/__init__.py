"""The journals of shards beside the output: the parts that attempts leave there, and what the next one reads."""
