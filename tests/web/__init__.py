"""The page and its endpoints, most on a real server."""
