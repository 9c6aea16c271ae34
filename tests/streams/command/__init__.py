"""The command on the Pub/Sub emulator and Prism."""
