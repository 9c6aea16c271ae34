"""The entities of a simulated account, and the API's views of them."""
