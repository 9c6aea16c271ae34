"""Help for tests that run the whole: an auditor that shares no code with what it audits."""
