"""File formats: how each is cut into shards and read in constant memory. No Beam graph in here."""
