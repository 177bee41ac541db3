"""Hostile inputs, by each way in."""
