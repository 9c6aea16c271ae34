"""The Beam steps that read from the API: LookupTalonOne."""
