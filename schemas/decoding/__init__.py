"""From the bytes of a source to a valid record: decoding, validation, misspelt fields. No requests, no Beam."""
