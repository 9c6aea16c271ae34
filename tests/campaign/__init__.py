"""Campaigns: backfills and streams as real processes under seeded plans of faults, and what the ledger then shows.

`make campaign` runs all plans and prints a table. `plans/` declares what goes wrong. `support/audit` holds the judge.
"""
