"""Records in, requests out: the shapes that enter the connector and the API operations that leave it."""
