"""The Beam steps that send records: WriteToTalonOne, and the keyed steps of a stream."""
