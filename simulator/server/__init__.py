"""The simulator as a server: the application, its control endpoints, its settings."""
