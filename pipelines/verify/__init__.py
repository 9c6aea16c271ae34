"""Reading back the results of a backfill of the input, and reporting each difference."""
