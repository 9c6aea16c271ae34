"""What the API's operations do, one file for each area."""
