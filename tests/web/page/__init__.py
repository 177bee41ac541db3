"""The page and its parts, most without a server."""
