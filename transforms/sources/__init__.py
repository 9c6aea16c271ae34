"""From files, messages and elements to prepared records. formats/ reads the formats."""
