"""The commands as real processes against the simulator, checked by its ledger and by the files they leave."""
