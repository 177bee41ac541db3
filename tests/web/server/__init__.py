"""A real server, and who speaks to it."""
