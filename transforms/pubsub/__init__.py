"""Pub/Sub for engines that have no durable source of it: messages are acknowledged once their outcome is known."""
