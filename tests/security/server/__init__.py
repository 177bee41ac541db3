"""A server that meets strangers."""
