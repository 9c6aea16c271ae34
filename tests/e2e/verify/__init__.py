"""The verify command: reading back what a backfill sent."""
