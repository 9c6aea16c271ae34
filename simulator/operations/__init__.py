"""The handlers of the API's operations, one file for each area."""
