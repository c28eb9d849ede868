"""Queries: an answer from any bot, running or not."""
