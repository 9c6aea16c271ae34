"""From files, messages and elements to prepared records. How one format is read is in formats/."""
