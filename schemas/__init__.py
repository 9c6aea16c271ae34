"""Records in, requests out: the models of records, and the operations of the API."""
