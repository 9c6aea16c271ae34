"""Reading back what a backfill of the input leads to, and telling each difference."""
