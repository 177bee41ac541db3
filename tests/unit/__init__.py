"""The package, without a server or a browser."""
