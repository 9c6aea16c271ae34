"""A backfill on one machine: ingest, staging database, slices, journal, output folder, report."""
