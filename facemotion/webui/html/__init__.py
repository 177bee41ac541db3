"""Text and HTML that the tabs show."""
