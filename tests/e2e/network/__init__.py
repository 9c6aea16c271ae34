"""Servers that refuse or fail, a proxy, and API keys that change."""
