"""What a message holds besides one JSON object: packed, wrapped or encoded records, as their publishers send them.

Nothing here knows Beam or reads a network, except `schema_service`.
"""
