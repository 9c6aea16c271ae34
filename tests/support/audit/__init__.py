"""An auditor of runs, by the contract alone: it shares no code with what it audits."""
