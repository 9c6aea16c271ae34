"""What the API accepts: checks of request bodies and query parameters, written apart from the sender's models."""
