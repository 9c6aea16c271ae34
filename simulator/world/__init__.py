"""What a simulated account holds, and how the API shows it."""
