"""A backfill handed over to a runner such as Dataflow: its pipeline, shards, and their journal backups."""
