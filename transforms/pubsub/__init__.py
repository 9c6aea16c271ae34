"""Pub/Sub for engines that have no durable source of it: messages are acknowledged by whoever finished them."""
