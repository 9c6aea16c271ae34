"""What one record becomes: its work, requests, identity, outcome, and output lines. Nothing is sent here."""
